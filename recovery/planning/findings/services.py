"""Services that restart again and again, and services that no node gets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from recovery.planning.findings.constraints import meets, takes_tasks, unmet
from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy, Run, on_node
from recovery.planning.findings.volumes import broken
from recovery.spans import span
from recovery.swarm.drained import noted
from recovery.swarm.evidence import Ended, Evidence, NodeSeen, ServiceSeen, SwarmSeen
from recovery.swarm.maintenance import Maintenance
from recovery.swarm.walk_mark import Mark

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
FEW = 3
"""So many nodes are proposed for a label that no node has, and so many of those that are away."""
UPDATED_SECONDS = 86_400.0
"""A loop that goes on later than this after an update is rarely the update's fault."""
NO_SPACE = "no space left on device"
"""The kernel's words for a full disk (errno(3): ENOSPC)."""
NO_NODE = "no suitable node"
"""How the reason begins that the scheduler gives (swarmkit, manager/scheduler)."""
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
            yield _waiting(survey, leader, service, nodes, names)


def loops(service: ServiceSeen, most: int | None = None) -> bool:
    """Whether its tasks fail again and again, and go on to: the last failure is not much older than the time between them.

    Replicas that failed once each, as on a node that restarted, are no loop, where the swarm keeps two failures of one replica.
    ``most`` are the tasks that the swarm keeps of each replica, with the one that runs (swarmkit, taskreaper).
    """
    recent = [one for one in service.failures if one.age <= LOOP_SECONDS]
    ages = [one.age for one in recent]
    kept = LOOP_FAILURES if most is None else max(LEAST_FAILURES, min(LOOP_FAILURES, most - 1))
    once = len({one.replica for one in recent}) == len(recent)
    if len(ages) < kept or (once and (most is None or most > LEAST_FAILURES)):
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
    full = any(NO_SPACE in one.error for one in recent)
    proposals = tuple(_of_loop(leader, service, places if full else ""))
    return Finding(service.name, f"{trouble}, {age}", proposals, Kind.RESTART_LOOP, evidence)


def _of_loop(leader: str, service: ServiceSeen, full: str) -> Iterator[Proposal]:
    """The last update is undone first only if it may be the cause, and tasks that run are not stopped before a person has looked.

    ``full`` are the nodes whose disks are full.
    """
    fresh = service.rolls_back and service.since_update <= UPDATED_SECONDS and not full
    ago = f", {span(timedelta(seconds=service.since_update))} ago" if service.since_update else ""
    effect = f"gives the service back the specification before its last update{ago}"
    back = on_node(Remedy.SERVICE, effect, Run(leader, ("docker", "service", "rollback", "--detach", service.name)))
    repair = "repair what its error and its log name, then update the service"
    by_hand = Proposal(Remedy.SERVICE, f"make space on the full disk of {full}" if full else repair, "ends the cause")
    stop = []
    if service.replicas:
        effect = f"stops the loop. No task of it runs until it is scaled back to {service.replicas}"
        argv = ("docker", "service", "scale", "--detach", f"{service.name}=0")
        stop = [on_node(Remedy.SERVICE, effect, Run(leader, argv))]
    careful = service.runs_on or (service.rolls_back and not fresh) or full
    yield from (back,) if fresh else ()
    yield from (by_hand, *stop) if careful else (*stop, by_hand)
    yield from (back,) if service.rolls_back and not fresh else ()


def _waiting(survey: "Survey", leader: str, service: ServiceSeen, nodes: Sequence[NodeSeen], names: Names) -> Finding:
    lacking, apart = unmet(service.constraints, nodes)
    fitting = [node for node in nodes if meets(service.constraints, node)]
    able = any(map(takes_tasks, fitting))
    placeless = any(NO_NODE in one for one in service.waits)
    away = [node for node in fitting if not takes_tasks(node)] if placeless or apart else []
    states = ", ".join(f"{_called(node, names)} is {_away(node)}" for node in away[:FEW])
    states += f" and {len(away) - FEW} more" if len(away) > FEW else ""
    if away and able:
        why = f"no node that is Ready and active takes it, and {states}"
    elif away:
        why = f"only nodes that take no tasks meet its constraints: {states}"
        why = why if service.constraints else f"no node takes tasks: {states}"
    elif lacking:
        why = f"no node that is Ready and active meets {' and '.join(lacking)}"
    elif apart:
        why = f"each of its constraints is met by some node, and no node meets all of {', '.join(service.constraints)}"
    else:
        why = "no node takes it"
    trouble = f"service {service.name} has tasks that wait: {why}"
    evidence = (*service.waits, *(f"constraint: {one}" for one in service.constraints))
    back = [] if not away else list(_of_away(survey, leader, away[:FEW], names))
    others = [] if away and not able else list(_of_waiting(leader, service, lacking, nodes, names))
    proposals = sorted((*back, *others), key=lambda one: one.able and able)
    return Finding(service.name, trouble, tuple(proposals), Kind.UNPLACED, evidence)


def _called(node: NodeSeen, names: Names) -> str:
    """The name of a node in the settings; else its ID, because each node gives itself a host name."""
    return names.get(node.node, node.node)


def _away(node: NodeSeen) -> str:
    state = node.attributes.get("state")
    availability = node.attributes.get("availability", "")
    words = {"drain": "drained", "pause": "paused"}
    return state if state and state != "ready" else words.get(availability) or "not active"


def _of_away(survey: "Survey", leader: str, away: Sequence[NodeSeen], names: Names) -> Iterator[Proposal]:
    """Its place exists: its data may be there, so nothing is proposed that starts it anywhere else.

    Whoever drained the node gives it back: maintenance, a walk over all nodes, or a person.
    """
    members = {one.node_id: one for one in survey.leader.members} if survey.leader else {}
    for node in away:
        name, entry = names.get(node.node), members.get(node.node)
        effect = "lets that node take tasks again"
        if not (name and entry and node.attributes.get("state") == "ready"):
            effect = f"{effect}. If the doctor names it too, begin there"
            yield Proposal(Remedy.SERVICE, f"bring {_called(node, names)} back", effect)
        elif Maintenance.of(entry):
            yield Proposal(Remedy.SERVICE, f"requorum undrain {name}", effect)
        elif noted(entry):
            mark = Mark.of(entry)
            whose = f" ({mark.walk})" if mark else ""
            wait = f"wait for the run that drained {name}{whose}. If none runs, run the same command again"
            yield Proposal(Remedy.SERVICE, wait, effect)
        else:
            run = Run(leader, ("docker", "node", "update", "--availability", "active", entry.node_id))
            yield Proposal(Remedy.SERVICE, run.where, f"{effect}. Ask first who took it out of service, and why")


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
            for node in able[:FEW]:
                run = Run(leader, ("docker", "node", "update", "--label-add", f"{label[1]}={label[2]}", node.node))
                effect = f"lets {_called(node, names)} run it. Add the label in the stack file too"
                yield Proposal(Remedy.SERVICE, run.where, effect)
    if not lacking:
        yield Proposal(Remedy.SERVICE, "give a node what the lines name, or change the service", "lets a node take it")
