"""Services that restart again and again, and services that no node gets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from recovery.planning.findings.constraints import meets, takes_tasks, unmet
from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy, Run, on_node
from recovery.planning.findings.volumes import broken
from recovery.swarm.evidence import Ended, Evidence, NodeSeen, ServiceSeen, SwarmSeen

if TYPE_CHECKING:
    from recovery.swarm.model import Survey

LOOP_SECONDS = 600.0
LOOP_FAILURES, LEAST_FAILURES = 3, 2
"""As many failures within `LOOP_SECONDS` are a loop. Swarm starts a failed task again after 5 s. Fewer, where it keeps fewer."""
OVER_SECONDS = 30.0
"""A task that runs for so much longer than twice the time between failures has ended the loop."""
NAME = re.compile(r"[a-zA-Z0-9][\w.-]*")
"""The engine takes no other name for a service."""
LABEL = re.compile(r"\s*node\.labels\.(\S+?)\s*==\s*(\S+)\s*")
LINES = 10
LABELLED = 3
"""So many nodes are proposed for a label that no node has."""
Names = Mapping[str, str]
"""The names of nodes in the settings, by their IDs in the swarm."""


def judge(survey: "Survey", leader: str, swarm: SwarmSeen | None, looks: Sequence[Evidence]) -> Iterator[Finding]:
    """A finding for each service that restarts or waits."""
    resting = {report.node_id for report in survey.reports if report.node.availability in ("drain", "pause")}
    nodes = tuple(one for one in (swarm.nodes if swarm else ()) if takes_tasks(one) or one.node not in resting)
    names = {node_id: name for name, node_id in survey.told.items()}
    spec = survey.leader.swarm.spec if survey.leader and survey.leader.swarm else {}
    most = (spec.get("Orchestration") or {}).get("TaskHistoryRetentionLimit")
    ended = [one for seen in looks if seen.looked for one in seen.looked.ended_tasks]
    for service in swarm.services if swarm else ():
        if not NAME.fullmatch(service.name):
            continue
        if loops(service, most) and not broken(service):
            yield _loop(leader, service, names, ended)
        if service.waits:
            yield _waiting(leader, service, nodes, names)


def loops(service: ServiceSeen, most: int | None = None) -> bool:
    """Whether its tasks fail again and again, and go on to: the last failure is not much older than the time between them.

    ``most`` are the tasks that the swarm keeps of each replica, with the one that runs (swarmkit, taskreaper).
    """
    ages = [one.age for one in service.failures if one.age <= LOOP_SECONDS]
    kept = LOOP_FAILURES if most is None else max(LEAST_FAILURES, min(LOOP_FAILURES, most - 1))
    if len(ages) < kept:
        return False
    between = (max(ages) - min(ages)) / (len(ages) - 1)
    return min(ages) <= 2 * between + OVER_SECONDS


def _loop(leader: str, service: ServiceSeen, names: Names, ended: Sequence[Ended]) -> Finding:
    recent = [one for one in service.failures if one.age <= LOOP_SECONDS]
    newest = recent[0]
    places = ", ".join(sorted({names.get(one.node, one.node) for one in recent} - {""}))
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


def _waiting(leader: str, service: ServiceSeen, nodes: Sequence[NodeSeen], names: Names) -> Finding:
    lacking, apart = unmet(service.constraints, nodes)
    away = [node for node in nodes if service.constraints and apart and meets(service.constraints, node)]
    if away:
        states = (f"{_called(node, names)} is {_away(node)}" for node in away)
        why = f"only nodes that take no tasks meet its constraints: {', '.join(states)}"
    elif lacking:
        why = f"no node that is Ready and active meets {' and '.join(lacking)}"
    elif apart:
        why = f"each of its constraints is met by some node, and no node meets all of {', '.join(service.constraints)}"
    else:
        why = "no node takes it"
    trouble = f"service {service.name} has tasks that wait: {why}"
    evidence = (*service.waits, *(f"constraint: {one}" for one in service.constraints))
    proposals = tuple(_of_away(away, names) if away else _of_waiting(leader, service, lacking, nodes, names))
    return Finding(service.name, trouble, proposals, Kind.UNPLACED, evidence)


def _called(node: NodeSeen, names: Names) -> str:
    """The name of a node in the settings; else its ID, because each node gives itself a host name."""
    return names.get(node.node, node.node)


def _away(node: NodeSeen) -> str:
    state = node.attributes.get("state")
    return state if state and state != "ready" else node.attributes.get("availability") or "not active"


def _of_away(away: Sequence[NodeSeen], names: Names) -> Iterator[Proposal]:
    """Its place exists: its data may be there, so nothing is proposed that starts it anywhere else."""
    for node in away:
        name = names.get(node.node)
        if name and node.attributes.get("state") == "ready":
            effect = "lets that node take tasks again"
            yield Proposal(Remedy.SERVICE, f"requorum undrain {name}", effect)
        else:
            effect = "lets that node take tasks again. If the doctor names it too, begin there"
            yield Proposal(Remedy.SERVICE, f"bring {_called(node, names)} back", effect)


def _of_waiting(
    leader: str, service: ServiceSeen, lacking: Sequence[str], nodes: Sequence[NodeSeen], names: Names
) -> Iterator[Proposal]:
    if lacking:
        removal = [word for one in lacking for word in ("--constraint-rm", one)]
        argv = ("docker", "service", "update", "--detach", *removal, service.name)
        effect = "lets any node run it that meets its other constraints. Data that it left on a node stay there"
        yield on_node(Remedy.SERVICE, effect, Run(leader, argv))
    for one in lacking:
        if label := LABEL.fullmatch(one):
            rest = [other for other in service.constraints if other != one]
            able = [node for node in nodes if takes_tasks(node) and meets(rest, node)]
            for node in able[:LABELLED]:
                run = Run(leader, ("docker", "node", "update", "--label-add", f"{label[1]}={label[2]}", node.node))
                effect = f"lets {_called(node, names)} run it. Add the label in the stack file too"
                yield Proposal(Remedy.SERVICE, run.where, effect)
    if not lacking:
        yield Proposal(Remedy.SERVICE, "give a node what the lines name, or change the service", "lets a node take it")
