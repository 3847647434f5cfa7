"""Disks on which little is free: what takes the space, and what may go without a loss."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace

from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy, Run, on_node
from recovery.planning.findings.sizes import in_words
from recovery.swarm.evidence import Disk, Evidence, Taking
from recovery.swarm.limits import is_low, lacks_inodes
from recovery.swarm.model import NodeReport, Reach

WORDS: Mapping[str, str] = {
    "images": "images that no container uses",
    "build cache": "the build cache",
    "stopped containers": "containers that do not run, with what they wrote",
    "volumes": "volumes that no container uses, which may hold data",
    "volume": "the volume",
    "registry": "the registry's data in the volume",
    "layer": "what a container wrote outside its volumes:",
    "log": "the log of a container:",
    "journal": "the journal",
    "packages": "downloaded packages:",
    "former": "former swarm directories",
    "saved": "safety copies of swarm directories",
    "spool": "copies that S3 does not have yet:",
    "logs": "logs, with the journal:",
    "cores": "core dumps:",
    "files": "files in",
}
"""What takes the space, by the kinds of `recovery.onnode.look.disks`."""
SAFE: Mapping[str, tuple[str, ...]] = {
    "build cache": ("docker", "builder", "prune", "--all", "--force"),
    "images": ("docker", "image", "prune", "--all", "--force"),
    "journal": ("journalctl", "--vacuum-size=100M"),
    "packages": ("apt-get", "clean"),
}
"""What removes a kind without a loss. No volume, no container and no image in use is among them."""
OF_ENGINE = frozenset({"images", "build cache", "stopped containers", "volumes"})
"""What only an engine that answers can count and remove."""
LOG = re.compile(r"/[\w./-]+/containers/[0-9a-f]{64}/[0-9a-f]{64}-json\.log")
"""Only such a file is emptied as a log."""
WORTH_BYTES = 10 << 20
"""Less is not worth a command."""
SHOWN, UNCOUNTED = 8, 3
"""Lines of evidence, and how many of them may be what could not be counted."""


def judge(seen: Evidence, report: NodeReport) -> Iterator[Finding]:
    """A finding for each disk that is low. Volumes with a file system of their own are for `volumes`."""
    for disk in seen.looked.disks if seen.looked else ():
        if disk.volume:
            continue
        if report.reach is Reach.NO_ENGINE:
            disk = replace(disk, takes=tuple(one for one in disk.takes if one.kind not in OF_ENGINE))
        if is_low(disk.size, disk.free):
            yield _finding(seen.node, disk, f"is low: {in_words(disk.free)} of {in_words(disk.size)} are free")
        elif lacks_inodes(disk.inodes, disk.inodes_free):
            free = f"{disk.inodes_free:,} of {disk.inodes:,} inodes are free"
            yield _finding(seen.node, disk, f"can hold few more files: {free}")


def _finding(node: str, disk: Disk, trouble: str) -> Finding:
    uncounted = [one for one in disk.takes if not one.counted][:UNCOUNTED]
    counted = [one for one in disk.takes if one.counted][: SHOWN - len(uncounted)]
    evidence = tuple(map(_line, (*counted, *uncounted)))
    proposals = tuple(_proposals(node, disk))
    return Finding(node, f"the disk with {disk.path} {trouble}", proposals, Kind.DISK_LOW, evidence, detail=disk.path)


def _line(one: Taking) -> str:
    words = f"{WORDS.get(one.kind, 'something else')} {one.of}".rstrip()
    return f"{in_words(one.size)} {words}" if one.counted else f"{words}: more than could be counted in time"


def _proposals(node: str, disk: Disk) -> Iterator[Proposal]:
    safe = [one for one in disk.takes if (one.size >= WORTH_BYTES or not one.counted) and _argv(one)]
    if safe:
        counted = sum(one.size for one in safe)
        size = f"about {in_words(counted)}" if all(one.counted for one in safe) else f"{in_words(counted)} or more"
        what = ", ".join(dict.fromkeys(WORDS[one.kind].rstrip(":") for one in safe))
        effect = f"frees {size}: {what}. It removes no volume, no container and no image in use"
        if any(one.kind == "images" for one in safe):
            effect += ". An image that is in no registry cannot be pulled again"
        runs = dict.fromkeys(Run(node, _argv(one)) for one in safe)
        yield on_node(Remedy.FREE, effect, *runs)
    if any(one.kind == "stopped containers" and one.size >= WORTH_BYTES for one in disk.takes):
        effect = "removes containers that do not run, with what they wrote. Look at them first: docker ps --all"
        yield Proposal(Remedy.FREE, f"on {node}: docker container prune", effect)
    if any(one.kind == "registry" for one in disk.takes):
        effect = "removes the layers that no image of the registry needs. Nobody may push meanwhile"
        command = f"on {node}: docker exec REGISTRY registry garbage-collect /etc/docker/registry/config.yml"
        yield Proposal(Remedy.FREE, command, effect)
    if not safe:
        look = f"on {node}: du -x --max-depth=2 -h {shlex.quote(disk.path)} | sort -h | tail"
        effect = "shows what else takes the space. Remove it, or make the disk larger"
        yield Proposal(Remedy.FREE, look, effect)


def _argv(one: Taking) -> tuple[str, ...]:
    """What removes it without a loss; empty if nothing does."""
    if one.kind == "log":
        return ("truncate", "--size", "0", one.of) if LOG.fullmatch(one.of) and ".." not in one.of else ()
    return SAFE.get(one.kind, ())
