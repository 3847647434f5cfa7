"""Containers that write into their own layer instead of a volume."""

from collections.abc import Iterator

from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy, Run, Weight, on_node
from recovery.planning.findings.sizes import in_words
from recovery.swarm.evidence import Evidence, Layer, SwarmSeen
from recovery.swarm.limits import grows, outgrows


def judge(seen: Evidence, leader: str, swarm: SwarmSeen | None) -> Iterator[Finding]:
    """A finding for each layer that is large or grows. Services that no manager lists are only words."""
    known = {one.name for one in swarm.services} if swarm else set()
    for layer in seen.looked.layers if seen.looked else ():
        if outgrows(layer.size, layer.grew, layer.seconds):
            yield _finding(seen.node, layer, leader if layer.service in known else "")


def _finding(node: str, layer: Layer, leader: str) -> Finding:
    whose = f"container {layer.name}" + (f" of service {layer.service}" if layer.service else "")
    growing = grows(layer.grew, layer.seconds)
    words = f", and grows by {in_words(int(layer.grew / max(layer.seconds, 0.1)))} a second" if growing else ""
    trouble = f"{whose} has {in_words(layer.size)} in its own layer{words}"
    files = (f"{in_words(one.size)} {one.path}" for one in layer.files)
    evidence = (f"its folder is {layer.folder}", *files)
    weight = Weight.URGENT if growing else Weight.SOON
    proposals = tuple(_proposals(node, layer, leader))
    return Finding(node, trouble, proposals, Kind.LAYER_GROWS, evidence, weight, layer.service or layer.name)


def _proposals(node: str, layer: Layer, leader: str) -> Iterator[Proposal]:
    if leader:
        effect = (
            f"replaces the tasks of {layer.service} one after the other, and removes this container. What it wrote outside its "
            "volumes is gone, as after every update"
        )
        yield on_node(
            Remedy.SERVICE,
            effect,
            Run(leader, ("docker", "service", "update", "--force", layer.service)),
            Run(node, ("docker", "rm", "--force", layer.container)),
        )
    effect = "then its files outlast the container, and have a disk of their own"
    what = f"service {layer.service}" if layer.service else f"container {layer.name}"
    yield Proposal(Remedy.SERVICE, f"give {what} a volume for the folder that it writes to", effect)
