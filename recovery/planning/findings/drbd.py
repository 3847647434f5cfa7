"""Volumes that DRBD replicates: which side is good, and how the others come back to it."""

from collections.abc import Iterator, Mapping, Sequence

from recovery.planning.findings.finding import (
    IN_USE,
    SIDE_UNSEEN,
    Finding,
    Kind,
    Proposal,
    Remedy,
    Run,
    Weight,
    on_node,
)
from recovery.swarm.drbd import Resource, read
from recovery.swarm.evidence import Evidence

STAND_ALONE = "StandAlone"
USABLE = frozenset({"UpToDate", "Consistent", "Outdated"})
"""The states of a disk whose data are whole, of whatever time. Inconsistent data are not."""
Sides = Mapping[str, Resource]


def judge(looks: Sequence[Evidence]) -> Iterator[Finding]:
    """A finding for each replicated volume that is not whole everywhere."""
    sides: dict[str, dict[str, Resource]] = {}
    for seen in looks:
        drbd = seen.looked.drbd if seen.looked else None
        for one in read(drbd.proc, drbd.status, drbd.names) if drbd else ():
            sides.setdefault(one.name, {})[seen.node] = one
    for name, of_nodes in sorted(sides.items()):
        if trouble := _trouble(of_nodes):
            urgent = Weight.SOON if _syncs(of_nodes) else Weight.URGENT
            evidence = tuple(_line(node, one) for node, one in of_nodes.items())
            yield Finding(name, trouble, tuple(_proposals(name, of_nodes)), Kind.DRBD, evidence, urgent)


def _trouble(sides: Sides) -> str:
    """What is wrong with a volume; empty if nothing is."""
    if not any(one.good for one in sides.values()) and not any(
        peer.disk == "UpToDate" for s in sides.values() for peer in s.peers
    ):
        seen = "" if _whole(sides) else " that was seen"
        return f"the replicated volume is up to date on no host{seen}: {_states(sides)}"
    if _syncs(sides):
        part = min(peer.synced for one in sides.values() for peer in one.peers)
        return f"the replicated volume is being synced, {part:g} % are done"
    if apart := [node for node, one in sides.items() if not one.connected]:
        alone = len([node for node in apart if _alone(sides[node])])
        both = ". Both sides may have been written to (split brain)" if alone > 1 and len(good(sides)) > 1 else ""
        return f"the replicated volume is disconnected on {' and '.join(apart)}{both}"
    if bad := [node for node, one in sides.items() if not one.good and not one.client]:
        return f"the replicated volume is {_states({node: sides[node] for node in bad})}"
    return ""


def good(sides: Sides) -> tuple[str, ...]:
    """The hosts with good data, the one that is in use first, then the one with the least that differs."""
    able = [node for node, one in sides.items() if one.good]
    return tuple(sorted(able, key=lambda node: (not sides[node].primary, sides[node].out_of_sync)))


def _whole(sides: Sides) -> bool:
    """Whether every host of the volume was looked at, as far as one of them knows the others."""
    return len(sides) > max(len(one.peers) for one in sides.values())


def _syncs(sides: Sides) -> bool:
    return any(peer.syncs for one in sides.values() for peer in one.peers)


def _alone(one: Resource) -> bool:
    return any(peer.connection == STAND_ALONE for peer in one.peers)


def _states(sides: Sides) -> str:
    return ", ".join(f"{one.disk} on {node}" for node, one in sides.items())


def _line(node: str, one: Resource) -> str:
    peers = "; ".join(f"{peer.name or 'its peer'} is {peer.connection}, {peer.disk}" for peer in one.peers)
    differs = f", {one.out_of_sync} KiB differ" if one.out_of_sync else ""
    return f"{node}: {one.role}, {one.disk}{differs}" + (f"; {peers}" if peers else "")


def _proposals(name: str, sides: Sides) -> Iterator[Proposal]:
    """The mildest first: wait, attach, reconnect. Then what gives one side up, for each side by itself."""
    if _syncs(sides):
        yield Proposal(Remedy.VOLUME, "wait until the sync has ended, then: requorum doctor", "changes nothing")
        return
    diskless = [node for node, one in sides.items() if one.disk == "Diskless" and not one.client]
    if diskless:
        runs = (_run(node, "attach", name) for node in diskless)
        yield on_node(Remedy.VOLUME, "takes its disk into use again. If that disk is broken, replace it first", *runs)
    apart = [node for node, one in sides.items() if not one.connected]
    alone = [node for node in apart if _alone(sides[node])]
    start = "start the other host of the volume, or give Requorum access to it, then: requorum doctor"
    unseen = Proposal(Remedy.VOLUME, start, "shows what its side has")
    if apart and not alone and not _whole(sides):  # each side that was seen connects by itself, once the other is there
        yield unseen
    elif apart:
        apart = alone or apart
        runs = (_run(node, "connect", name) for node in apart)
        effect = (
            "connects the sides again, and lets the newer one update the other. DRBD refuses it if both were written to"
        )
        yield on_node(Remedy.VOLUME, effect, *runs)
    best = good(sides)
    if not best:
        for node in [node for node, one in sides.items() if one.disk in USABLE]:
            effect = f"declares the data on {node} to be right. What other sides have in addition is lost"
            refused = "" if _whole(sides) else SIDE_UNSEEN
            yield on_node(Remedy.VOLUME, effect, _run(node, "primary", "--force", name), refused=refused)
        if not _whole(sides) and (alone or not apart):
            yield unseen
        return
    for node in [node for node in sides if node != best[0]] + list(best[:1]):
        yield from _discarded(name, node, sides)


def _discarded(name: str, node: str, sides: Sides) -> Iterator[Proposal]:
    """How the data of one side are given up for those of another; nothing if no other side is good."""
    others = [other for other in good(sides) if other != node]
    if not others or sides[node].disk == "Diskless":
        return
    refused = IN_USE if sides[node].primary else ""
    effect = f"discards the data on {node}, and takes those of {others[0]}"
    if sides[node].connected:
        yield on_node(Remedy.VOLUME, effect, _run(node, "invalidate", name), refused=refused)
        return
    runs = (
        _run(node, "disconnect", name),
        _run(node, "secondary", name),
        _run(node, "connect", "--discard-my-data", name),
        *(_run(other, "connect", name) for other in others if _alone(sides[other])),
    )
    yield on_node(Remedy.VOLUME, effect, *runs, refused=refused)


def _run(node: str, *words: str) -> Run:
    return Run(node, ("drbdadm", *words))
