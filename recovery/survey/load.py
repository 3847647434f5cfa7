"""What one node has to do right now: processor, memory, disk, and each container's share. It changes nothing."""

import re
from dataclasses import dataclass

from recovery.node.garbled import garbled
from recovery.node.shell import Shell
from recovery.swarm.client import IN_SHELL

SECONDS = 30
"""How long the answer may take. The engine measures containers for two seconds."""
ASK = (
    "cat /proc/loadavg; nproc; sed -n 's/^MemTotal: *//p; s/^MemAvailable: *//p' /proc/meminfo; "
    f'df -Pk "$(timeout 10 {IN_SHELL} info --format "{{{{.DockerRootDir}}}}" || echo /)" | tail -n 1; '
    f'timeout 10 {IN_SHELL} stats --no-stream --format "{{{{.CPUPerc}}}} {{{{.MemPerc}}}} {{{{.Name}}}}"'
)
"""Prints the load, the processors, the memory in kB, the disk of Docker's data, and then a line for each running container."""
LOAD = re.compile(
    r"(\d{1,7}\.\d{1,3}) .*\n(\d{1,5})\n(\d{1,15}) kB\n(\d{1,15}) kB\n.* (\d{1,18}) +(\d{1,18}) +(\d{1,18}) +\d{1,3}% .*(?:\n|$)"
)
CONTAINER = re.compile(r"(?:(\d{1,7}\.\d{1,3})%|--) (?:(\d{1,3}\.\d{1,3})%|--) ([\w.-]{1,255})")
"""A line of the answer. A container that has just ended has no figures."""
KB = 1024


@dataclass(frozen=True)
class ContainerLoad:
    """What one container uses, in percent: of one processor, and of the memory that it may have."""

    name: str
    processor: float
    memory: float


@dataclass(frozen=True)
class NodeLoad:
    """What a node uses. Sizes are bytes."""

    load: float
    """How many processes ran or waited to run in the last minute, on average."""
    processors: int
    memory: int
    free_memory: int
    disk: int
    """Of the file system that has Docker's data."""
    free_disk: int
    containers: tuple[ContainerLoad, ...]
    """The running ones, the busiest first."""


def of(shell: Shell) -> NodeLoad:
    """The load of the node of an open shell. Raises: TransportError, CommandFailed, Garbled."""
    answer = shell.run(["sh", "-c", ASK], seconds=SECONDS).stdout.decode(errors="replace")
    return parsed(answer, shell.node.name)


def parsed(answer: str, node: str) -> NodeLoad:
    """The load in the answer of a node. Raises: Garbled."""
    found = LOAD.match(answer)
    if not found:
        raise garbled(node, "asking for its load", "it does not tell load, memory and disk")
    listed = [CONTAINER.fullmatch(line) for line in answer[found.end() :].splitlines()]
    if None in listed:
        raise garbled(node, "asking for its load", "a line names no container")
    containers = [ContainerLoad(one[3], float(one[1] or 0), float(one[2] or 0)) for one in listed if one]
    disk, _, free = (int(size) * KB for size in found.group(5, 6, 7))
    memory, available = (int(size) * KB for size in found.group(3, 4))
    return NodeLoad(
        float(found[1]),
        int(found[2]),
        memory,
        available,
        disk,
        free,
        tuple(sorted(containers, key=lambda one: (-one.processor, one.name))),
    )
