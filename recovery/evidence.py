"""What a proof says beside who is a member: judged here from what the nodes and the leader were found to say. Pure.

A check is `FAILED` only where the recovery cannot stand; what swarm or an operator may have changed meanwhile is a
`WARNING` (docs/decisions/011-what-a-proof-fails-on.md).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from recovery.model import Inventory, Member, Service, Task
from recovery.settings import Node
from recovery.zones import quorum


class Result(StrEnum):
    """What a check came to."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNCHECKED = "not checked"


@dataclass(frozen=True)
class Before:
    """What a recovery began from: the containers of each worker (ID to service), and the inventory of the copy, by its name."""

    containers: Mapping[str, Mapping[str, str]]
    copy: str = ""
    inventory: Inventory | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """How many containers of each service were seen."""
        return Counter(service for found in self.containers.values() for service in found.values())


@dataclass(frozen=True)
class Check:
    """One check: of what, on what, and what it came to."""

    check: str
    subject: str
    result: Result
    detail: str = ""

    @property
    def text(self) -> str:
        """A line for eyes."""
        return f"{self.check} of {self.subject}: {self.result}" + (f" ({self.detail})" if self.detail else "")


def inventory(expected: Inventory, found: Inventory, source: str) -> Check:
    """Whether everything that the restored copy lists is still there; the seed was held to it when it was restored."""
    missing = expected.missing_from(found)
    shown = "; ".join(f"{kind}: {', '.join(ids)}" for kind, ids in missing.items())
    detail = f"no longer there: {shown}" if missing else f"everything that {source} lists"
    return Check("inventory", "swarm", Result.WARNING if missing else Result.OK, detail)


def may_restart(node: Node, members: Collection[Member]) -> bool:
    """Whether the other managers hold the quorum while this one's engine restarts."""
    voters = [member for member in members if member.votes]
    others = [member for member in voters if not member.stands_at(node)]
    return len(others) < len(voters) and sum(member.reachable for member in others) >= quorum(len(voters))


def gossip(node: str, listening: bool | None, *, fatal: bool) -> Check:
    """Whether the node listens for gossip; None where it could not be asked. ``fatal`` where it must."""
    if listening is None:
        return Check("gossip", node, Result.UNCHECKED, "ss (iproute2) is missing there")
    if listening:
        return Check("gossip", node, Result.OK, "7946 is listening")
    detail = "7946 is not listening (moby#36860): systemctl restart docker, there; its containers stop"
    return Check("gossip", node, Result.FAILED if fatal else Result.WARNING, detail)


def containers(node: str, before: Mapping[str, str] | None, now: Mapping[str, str] | None) -> Check:
    """Whether the containers that ran on a worker before the first effect still run; each is its ID and its service."""
    if before is None or now is None:
        why = "nobody counted them before the first effect" if before is None else "the node does not answer"
        return Check("containers", node, Result.UNCHECKED, why)
    gone, new = before.keys() - now.keys(), now.keys() - before.keys()
    if not gone and not new:
        return Check("containers", node, Result.OK, f"{len(now)} unchanged")
    told = [
        f"{word} {named[key]} ({key[:12]})"
        for word, keys, named in (("gone", gone, before), ("new", new, now))
        for key in sorted(keys)
    ]
    return Check("containers", node, Result.WARNING, ", ".join(told))


def addresses(services: Collection[Service]) -> tuple[Check, ...]:
    """Services that share a virtual IP on a network (moby#33795): one check for each such address, or one for all."""
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for service in services:
        for place in service.virtual_ips:
            owners[place].append(service.name)
    shared = {place: names for place, names in owners.items() if len(names) > 1}
    if not shared:
        return (Check("virtual IPs", "services", Result.OK, f"{len(owners)} different"),)
    return tuple(
        Check(
            "virtual IPs",
            ", ".join(sorted(names)),
            Result.WARNING,
            f"all at {address} of network {network} (moby#33795)",
        )
        for (network, address), names in sorted(shared.items())
    )


def tasks(
    services: Iterable[Service], found: Collection[Task], ready: Collection[str], before: Mapping[str, int]
) -> tuple[Check, ...]:
    """Whether each service runs as many tasks as it wants on nodes that are Ready.

    ``found`` are the tasks that swarm wants to run, ``ready`` the IDs of nodes, ``before`` how many containers of
    each service were seen before the first effect. A service that was whole then must be whole now.
    """
    checks = []
    for service in services:
        mine = [task for task in found if task.service_id == service.service_id]
        wanted = len({task.node_id for task in mine}) if service.replicas is None else service.replicas
        running = sum(task.running and task.node_id in ready for task in mine)
        whole = 0 < wanted <= before.get(service.name, 0)
        result = Result.OK if running >= wanted else Result.FAILED if whole else Result.WARNING
        checks.append(Check("tasks", service.name, result, f"{running} of {wanted} run"))
    return tuple(checks)


def resolves(name: str, container: str, status: int, output: str) -> Check:
    """Whether ``nslookup`` in a container found the service's name; 127 is the shell's word for no such tool."""
    subject = f"{name} in container {container[:12]}"
    if status == 0:
        return Check("names", subject, Result.OK, "resolves")
    if status == 127 or "executable file not found" in output:
        return Check("names", subject, Result.UNCHECKED, "there is no nslookup in its image")
    last = output.strip().splitlines()[-1:] or ["no message"]
    return Check("names", subject, Result.WARNING, f"{last[0]} (moby#53141: docker service update --force {name})")
