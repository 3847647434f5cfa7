"""Volumes of services: a file system that does not mount, and a volume that is full and can be made again with more space."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy, Run, Weight, on_node
from recovery.planning.findings.sizes import in_words
from recovery.swarm.client import IN_SHELL
from recovery.swarm.evidence import Disk, Evidence, Failure, ServiceSeen, SwarmSeen
from recovery.swarm.limits import is_low
from recovery.swarm.model import Reach

if TYPE_CHECKING:
    from recovery.settings import Settings
    from recovery.swarm.model import Survey

MOUNT = re.compile(
    r"failed to mount local volume: mount (/dev/[\w/.-]+):/\S*/volumes/([a-zA-Z0-9][\w.-]*)/_data.*: "
    r"(invalid argument|structure needs cleaning|bad message)"
)
"""The engine's error for a volume with a device (moby, volume/local and mount.Error), and the kernel's for a broken file system."""
END_SECONDS = 60
"""`docker service scale` returns while tasks still end: a container gets `stopGracePeriod`, 10 s by default, before it is killed."""
WAIT = f"""set -eu
left={END_SECONDS}
while [ $left -gt 0 ] && [ -n "$({IN_SHELL} ps --quiet --filter "volume=$VOLUME")" ]; do sleep 1; left=$((left - 1)); done
"""
REPAIR = f"""VOLUME=$2
{WAIT}grep -q "^$1 " /proc/mounts && {{ echo "$1 is mounted" >&2; exit 1; }}
case $({IN_SHELL} volume inspect --format '{{{{.Options.type}}}}' "$2") in
ext[234]) e2fsck -f -y "$1" || [ $? -le 2 ];;
xfs) xfs_repair $3 "$1";;
*) echo "the volume $2 has no file system of ext or xfs" >&2; exit 1;;
esac"""
"""Repairs a device of a volume that nothing has mounted. e2fsck(8): up to 2, all errors are corrected. xfs_repair(8): -L drops the log."""
REMOVE = f"""VOLUME=$1
{WAIT}while :; do
  for container in $({IN_SHELL} ps --all --quiet --filter "volume=$1" --filter status=exited --filter status=created); do
    {IN_SHELL} rm "$container" || true
  done
  if {IN_SHELL} volume rm "$1"; then exit 0; fi
  [ $left -gt 0 ] || exit 1
  left=$((left - 1)); sleep 1
done
"""
"""Removes a volume, and first the containers that do not run and still name it. The swarm may be removing one of them already.
Docker keeps a volume that a running container has.
"""
SIZE = re.compile(r"(^|,)size=(\d+)([kmgKMG]?)(?=,|$)")
QUOTA = re.compile(r"(\d+)([kmgtKMGT]?i?[bB]?)")
NAME = re.compile(r"[a-zA-Z0-9][\w.-]*")
OPTION = re.compile(r"[\w./:,=@%+-]*")
MEMORY = "tmpfs"
"""The type of a volume that is a file system of memory. Only such a one has a size as an option of its mount (tmpfs(5))."""
GROWTH = 2
"""A volume that is made again is so many times as large."""


def judge(
    settings: "Settings",
    survey: "Survey",
    leader: str,
    swarm: SwarmSeen | None,
    looks: Sequence[Evidence],
    *,
    opens: bool,
) -> Iterator[Finding]:
    """A finding for each service whose volume does not mount, and for each full volume.

    ``opens``: an identity here opens the copies. Without one, no data could be given back.
    """
    names = {one.node_id: one.node.name for one in survey.reports if one.node_id and one.reach is Reach.ANSWERS}
    for service in swarm.services if swarm else ():
        if (fault := broken(service)) and NAME.fullmatch(service.name):
            yield _unmountable(leader, service, *fault, names)
    for seen in looks:
        for disk in seen.looked.disks if seen.looked else ():
            if disk.volume and is_low(disk.size, disk.free):
                node_id = survey.told.get(seen.node, "")
                wanted = _larger(settings, swarm, disk, node_id, opens=opens) if leader else None
                yield _full(leader, seen.node, disk, wanted)


def broken(service: ServiceSeen) -> tuple[Failure, re.Match[str]] | None:
    """The newest failure of a service that says that a volume's file system does not mount on a node where no task runs now."""
    away = (one for one in service.failures if one.node not in service.runs_on)
    return next(((one, match) for one in away if (match := MOUNT.search(one.error))), None)


def _unmountable(
    leader: str, service: ServiceSeen, failure: Failure, match: re.Match[str], names: Mapping[str, str]
) -> Finding:
    device, volume, why = match.groups()
    node = names.get(failure.node, "")
    trouble = (
        f"the file system of volume {volume} of service {service.name} does not mount on {node or failure.node}: {why}"
    )
    proposals: tuple[Proposal, ...] = ()
    if node and service.replicas:
        proposals = tuple(
            on_node(
                Remedy.VOLUME,
                f"stops the service, repairs the file system while nothing has it mounted, and starts the service again{more}",
                Run(leader, ("docker", "service", "scale", f"{service.name}=0")),
                Run(node, ("sh", "-c", REPAIR, "repair", device, volume, option)),
                Run(leader, ("docker", "service", "scale", "--detach", f"{service.name}={service.replicas}")),
            )
            for option, more in (("", ""), ("-L", ". For xfs it drops the log: the last writes are lost"))
        )
    hand = Proposal(
        Remedy.VOLUME, f"on {node or 'the node'}: repair {device} while the service has no task", "lets it mount"
    )
    return Finding(service.name, trouble, (*proposals, hand), Kind.VOLUME_BROKEN, (failure.error,), detail=volume)


@dataclass(frozen=True)
class _Wanted:
    """A volume that is to be made again: its options with more space, and the service and the data that it belongs to."""

    options: tuple[str, ...]
    size: str
    service: str
    data: str
    """Its name in `requorum:data`; empty if the volume lies in memory, so that it is empty after each restart anyway."""


def _full(leader: str, node: str, disk: Disk, wanted: _Wanted | None) -> Finding:
    trouble = f"volume {disk.volume} is nearly full: {in_words(disk.free)} of {in_words(disk.size)} are free"
    hand = (
        f"name the volume in requorum:data, then: requorum data take; make the volume of {node} again with more space; "
        "requorum data restore"
    )
    proposals = [Proposal(Remedy.VOLUME, hand, "gives the same data back in a larger volume (docs/doctor.md)")]
    if wanted:
        proposals.insert(0, _again(leader, node, disk.volume, wanted))
    options = tuple(f"option {key}={value}" for key, value in sorted(disk.options.items()))
    return Finding(node, trouble, tuple(proposals), Kind.VOLUME_FULL, options, Weight.URGENT, disk.volume)


def _larger(settings: "Settings", swarm: SwarmSeen | None, disk: Disk, node_id: str, *, opens: bool) -> _Wanted | None:
    """How to make the volume again; None if its size is no option, or if no copy of its data could give it back.

    Its only task must run on that node: another node's volume of the same name has other data.
    """
    grown = _grown(disk.options)
    named = next((name for name, data in settings.data.items() if data.volume == disk.volume), None)
    if grown is None or named is None or not NAME.fullmatch(disk.volume):
        return None
    if not all(OPTION.fullmatch(one) for pair in disk.options.items() for one in pair):
        return None
    services = {one.name: one for one in swarm.services} if swarm else {}
    service = services.get(settings.data[named].service)
    if service is None or service.replicas != 1 or service.runs_on != (node_id,):
        return None
    larger, given = grown
    options = tuple(word for key, value in sorted(given.items()) for word in ("--opt", f"{key}={value}"))
    if disk.options.get("type") == MEMORY:
        return _Wanted(options, larger, service.name, "")
    return _Wanted(options, larger, service.name, named) if opens else None


def _grown(options: Mapping[str, str]) -> tuple[str, Mapping[str, str]] | None:
    """The larger size, and the options with it: a quota of the engine's (moby, volume/local), or memory's own option."""
    if quota := QUOTA.fullmatch(options.get("size", "")):
        larger = f"{int(quota[1]) * GROWTH}{quota[2]}"
        return larger, {**options, "size": larger}
    size = SIZE.search(options.get("o", ""))
    if size and options.get("type") == MEMORY:
        larger = f"{int(size[2]) * GROWTH}{size[3]}"
        return larger, {**options, "o": SIZE.sub(rf"\g<1>size={larger}", options["o"])}
    return None


def _again(leader: str, node: str, volume: str, wanted: _Wanted) -> Proposal:
    name = wanted.service
    made = f"makes the volume again with size={wanted.size} while {name} has no task"
    again = (
        Run(leader, ("docker", "service", "scale", f"{name}=0")),
        Run(node, ("sh", "-c", REMOVE, "remove", volume)),
        Run(node, ("docker", "volume", "create", *wanted.options, volume)),
        Run(leader, ("docker", "service", "scale", f"{name}=1")),
    )
    if not wanted.data:
        effect = f"{made}. The volume lies in memory: it is empty afterwards, as after each restart of {name}"
        return on_node(Remedy.VOLUME, effect, *again)
    effect = (
        f"copies the data to S3, {made}, and gives the data back. What {name} writes after the copy was begun is lost: "
        "let nobody write to it meanwhile. If a command fails, the copy stays in S3"
    )
    take, restore = (Run("", ("requorum", "data", verb, wanted.data)) for verb in ("take", "restore"))
    return on_node(Remedy.VOLUME, effect, take, *again, restore)
