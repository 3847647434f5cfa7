"""Services that restart again and again, and services that no node gets."""

import re
from collections.abc import Iterator, Mapping, Sequence

from recovery.planning.findings.constraints import is_met, takes_tasks, unmet
from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy, Run, on_node
from recovery.planning.findings.volumes import broken
from recovery.swarm.evidence import Ended, Evidence, NodeSeen, ServiceSeen, SwarmSeen

LOOP_SECONDS = 600.0
LOOP_FAILURES = 3
"""As many failures within `LOOP_SECONDS` are a loop. Swarm starts a failed task again after 5 s."""
OVER_SECONDS = 30.0
"""A task that runs for so much longer than twice the time between failures has ended the loop."""
NAME = re.compile(r"[a-zA-Z0-9][\w.-]*")
"""The engine takes no other name for a service."""
LABEL = re.compile(r"\s*node\.labels\.(\S+?)\s*==\s*(\S+)\s*")
LINES = 10


def judge(leader: str, swarm: SwarmSeen | None, looks: Sequence[Evidence]) -> Iterator[Finding]:
    """A finding for each service that restarts or waits."""
    nodes = swarm.nodes if swarm else ()
    ended = [one for seen in looks if seen.looked for one in seen.looked.ended_tasks]
    for service in swarm.services if swarm else ():
        if not NAME.fullmatch(service.name):
            continue
        if loops(service) and not broken(service):
            yield _loop(leader, service, {one.node: one.hostname for one in nodes}, ended)
        if service.waits:
            yield _waiting(leader, service, nodes)


def loops(service: ServiceSeen) -> bool:
    """Whether its tasks fail again and again, and go on to: the last failure is not much older than the time between them."""
    ages = [one.age for one in service.failures if one.age <= LOOP_SECONDS]
    if len(ages) < LOOP_FAILURES:
        return False
    between = (max(ages) - min(ages)) / (len(ages) - 1)
    return min(ages) <= 2 * between + OVER_SECONDS


def _loop(leader: str, service: ServiceSeen, hosts: Mapping[str, str], ended: Sequence[Ended]) -> Finding:
    recent = [one for one in service.failures if one.age <= LOOP_SECONDS]
    newest = recent[0]
    places = ", ".join(sorted({hosts.get(one.node, one.node) for one in recent} - {""}))
    containers = {one.container for one in recent}
    log = next((one.lines for one in ended if one.container in containers), ())
    trouble = f"service {service.name} restarts again and again: {len(recent)} tasks failed in 10 minutes" + (
        f" on {places}" if places else ""
    )
    errors = dict.fromkeys(one.error for one in recent if one.error)
    evidence = (*errors, *(f"its log: {line}" for line in log[-LINES:]))
    age = f"the last one {newest.age:.0f} s ago"
    return Finding(service.name, f"{trouble}, {age}", tuple(_of_loop(leader, service)), Kind.RESTART_LOOP, evidence)


def _of_loop(leader: str, service: ServiceSeen) -> Iterator[Proposal]:
    if service.rolls_back:
        argv = ("docker", "service", "rollback", "--detach", service.name)
        yield on_node(
            Remedy.SERVICE, "gives the service back the specification before its last update", Run(leader, argv)
        )
    if service.replicas:
        argv = ("docker", "service", "scale", "--detach", f"{service.name}=0")
        effect = f"stops the loop. No task of it runs until it is scaled back to {service.replicas}"
        yield on_node(Remedy.SERVICE, effect, Run(leader, argv))
    yield Proposal(Remedy.SERVICE, "repair what its error and its log name, then update the service", "ends the cause")


def _waiting(leader: str, service: ServiceSeen, nodes: Sequence[NodeSeen]) -> Finding:
    lacking, apart = unmet(service.constraints, nodes)
    if lacking:
        why = f"no node that is Ready and active meets {' and '.join(lacking)}"
    elif apart:
        why = f"each of its constraints is met by some node, and no node meets all of {', '.join(service.constraints)}"
    else:
        why = "no node takes it"
    trouble = f"service {service.name} has tasks that wait: {why}"
    evidence = (*service.waits, *(f"constraint: {one}" for one in service.constraints))
    proposals = tuple(_of_waiting(leader, service, lacking, nodes))
    return Finding(service.name, trouble, proposals, Kind.UNPLACED, evidence)


def _of_waiting(
    leader: str, service: ServiceSeen, lacking: Sequence[str], nodes: Sequence[NodeSeen]
) -> Iterator[Proposal]:
    if lacking:
        removal = [word for one in lacking for word in ("--constraint-rm", one)]
        argv = ("docker", "service", "update", "--detach", *removal, service.name)
        yield on_node(Remedy.SERVICE, "lets any node run it that meets its other constraints", Run(leader, argv))
    for one in lacking:
        if label := LABEL.fullmatch(one):
            rest = [other for other in service.constraints if other != one]
            able = [node.hostname for node in nodes if takes_tasks(node) and all(is_met(other, node) for other in rest)]
            command = f"on {leader}: docker node update --label-add {label[1]}={label[2]} {' | '.join(able) or 'NODE'}"
            yield Proposal(Remedy.SERVICE, command, "lets that node run it. Add the label in the stack file too")
    if not lacking:
        yield Proposal(Remedy.SERVICE, "give a node what the lines name, or change the service", "lets a node take it")
