"""The checks of a proof beyond membership, judged from the answers of the nodes and the leader. Pure.

A check is `FAILED` only if the recovery did not succeed. A difference that swarm or an operator may have made in the
meantime is a `WARNING` (docs/decisions/011-what-a-proof-fails-on.md).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from recovery.swarm.entries import Member
from recovery.swarm.machines import Node
from recovery.swarm.workload import Inventory, NodeWorkload, Service, Workload


class Result(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNCHECKED = "not checked"


@dataclass(frozen=True)
class Before:
    """The state before a recovery: each worker's containers (ID to service), and the copy's name and inventory."""

    containers: Mapping[str, Mapping[str, str]]
    copy: str = ""
    inventory: Inventory | None = None

    @property
    def counts(self) -> Counter[str]:
        """How many containers each service had."""
        return Counter(service for running in self.containers.values() for service in running.values())


@dataclass(frozen=True)
class Check:
    """One check, its subject and its result."""

    check: str
    subject: str
    result: Result
    detail: str = ""

    @property
    def text(self) -> str:
        """The check as one line."""
        return f"{self.check} of {self.subject}: {self.result}" + (f" ({self.detail})" if self.detail else "")


def judge(
    nodes: Iterable[Node],
    looks: Mapping[str, NodeWorkload],
    workload: Workload,
    ready: Collection[str],
    before: Before | None,
) -> tuple[Check, ...]:
    """Every check of the nodes and the workload. ``looks`` lacks the nodes that did not answer.

    ``ready`` are the IDs of the Ready nodes. ``before`` is None if no recovery is under way: then no check fails.
    """
    checks: list[Check] = []
    if before and before.inventory and workload.inventory:
        checks.append(inventory(before.inventory, workload.inventory, before.copy))
    for node in nodes:
        look = looks.get(node.name)
        fatal = before is not None and node.role == "manager"
        checks.append(gossip(node.name, look.listening if look else None, fatal=fatal))
        if before and node.role == "worker":
            now = look.containers if look else None
            checks.append(containers(node.name, before.containers.get(node.name), now))
    return (*checks, *addresses(workload.services), *tasks(workload, ready, before))


def not_named(entries: Collection[Member]) -> tuple[Check, ...]:
    """How many nodes of the swarm no setting names, as an autoscaling group lets them join. No proof depends on them."""
    if not entries:
        return ()
    ready = sum(entry.ready for entry in entries)
    detail = f"{ready} Ready, {len(entries) - ready} Down: the stack file does not name them, and they are left alone"
    return (Check("nodes not named", "swarm", Result.OK, detail),)


def inventory(expected: Inventory, actual: Inventory, source: str) -> Check:
    """Whether the swarm still has every object of the restored copy. The restore itself compared the seed with the copy."""
    missing = expected.missing_from(actual)
    objects = "; ".join(f"{kind}: {', '.join(ids)}" for kind, ids in missing.items())
    detail = f"missing: {objects}" if missing else f"holds everything that {source} lists"
    return Check("inventory", "swarm", Result.WARNING if missing else Result.OK, detail)


def gossip(node: str, listening: bool | None, *, fatal: bool) -> Check:
    """Whether the node listens for gossip; None if it could not be asked. With ``fatal``, it must."""
    if listening is None:
        return Check("gossip", node, Result.UNCHECKED, "the node does not answer, or lacks ss (iproute2)")
    if listening:
        return Check("gossip", node, Result.OK, "port 7946 is listening")
    detail = "port 7946 is not listening (moby#36860). next: systemctl restart docker, which stops its containers"
    return Check("gossip", node, Result.FAILED if fatal else Result.WARNING, detail)


def containers(node: str, before: Mapping[str, str] | None, now: Mapping[str, str] | None) -> Check:
    """Whether the containers (ID to service) that ran on a worker before the first change still run."""
    if before is None or now is None:
        why = "they were not listed before the first change" if before is None else "the node does not answer"
        return Check("containers", node, Result.UNCHECKED, why)
    old_ids, new_ids = before.keys() - now.keys(), now.keys() - before.keys()
    if not old_ids and not new_ids:
        return Check("containers", node, Result.OK, f"{len(now)} unchanged")
    changes = [
        f"{word} {services[key]} ({key[:12]})"
        for word, keys, services in (("gone", old_ids, before), ("new", new_ids, now))
        for key in sorted(keys)
    ]
    return Check("containers", node, Result.WARNING, ", ".join(changes))


def differs(node: Node, looks: Mapping[str, NodeWorkload], before: Before) -> bool:
    """Whether a worker runs other containers than before the first change."""
    earlier, look = before.containers.get(node.name), looks.get(node.name)
    return earlier is not None and look is not None and earlier.keys() != look.containers.keys()


def addresses(services: Collection[Service]) -> tuple[Check, ...]:
    """Services that share a virtual IP on a network (moby#33795): one check for each such address, or one for all."""
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for service in services:
        for place in service.virtual_ips:
            owners[place].append(service.name)
    shared = {place: names for place, names in owners.items() if len(names) > 1}
    if not shared:
        return (Check("virtual IPs", "services", Result.OK, f"{len(owners)} in use, none shared"),)
    return tuple(
        Check(
            "virtual IPs",
            ", ".join(sorted(names)),
            Result.WARNING,
            f"share {address} in network {network} (moby#33795)",
        )
        for (network, address), names in sorted(shared.items())
    )


def tasks(workload: Workload, ready: Collection[str], before: Before | None) -> tuple[Check, ...]:
    """Whether each service runs the wanted number of tasks on Ready nodes.

    The check fails if the service had that many containers before the first change of a recovery, and has fewer now.
    """
    checks = []
    for service in workload.services:
        own_tasks = [task for task in workload.tasks if task.service_id == service.service_id]
        target = len({task.node_id for task in own_tasks}) if service.replicas is None else service.replicas
        running = sum(task.running and task.node_id in ready for task in own_tasks)
        complete_before = before is not None and 0 < target <= before.counts[service.name]
        result = Result.OK if running >= target else Result.FAILED if complete_before else Result.WARNING
        checks.append(Check("tasks", service.name, result, f"{running} of {target} running"))
    return tuple(checks)


def spread(workload: Workload, members: Collection[Member]) -> tuple[Check, ...]:
    """Nodes that take tasks and run none of a replicated service, while another node runs several of one.

    Swarm moves no running task to a node that came back or is new. Whether a constraint keeps the tasks away is not looked at.
    """
    replicated = {service.service_id for service in workload.services if service.replicas}
    counts = Counter((task.service_id, task.node_id) for task in workload.tasks if task.service_id in replicated)
    busy = {node for _, node in counts}
    if max(counts.values(), default=0) < 2:
        return ()
    return tuple(
        Check(
            "spread",
            member.hostname,
            Result.WARNING,
            "no task of a replicated service. To spread them: requorum rebalance",
        )
        for member in members
        if member.ready and member.availability == "active" and member.node_id not in busy
    )


def resolves(name: str, container: str, status: int, output: str) -> Check:
    """Whether ``nslookup`` resolves the service's name in a container. Exit status 127 means that the image has no nslookup."""
    subject = f"{name} in container {container[:12]}"
    if status == 0:
        return Check("names", subject, Result.OK, "resolves")
    if status == 127 or "executable file not found" in output:
        return Check("names", subject, Result.UNCHECKED, "its image has no nslookup")
    last = output.strip().splitlines()[-1:] or ["no message"]
    detail = f"{last[0]} (moby#53141). next: docker service update --force {name}"
    return Check("names", subject, Result.WARNING, detail)
