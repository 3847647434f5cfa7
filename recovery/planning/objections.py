"""What must be true before Requorum takes a step: each precondition as a text, next to the function that checks it."""

from collections.abc import Callable
from dataclasses import dataclass

from recovery.planning.steps import Action, Step
from recovery.swarm.entries import Member, entries_of
from recovery.swarm.model import LocalState, NodeReport, Reach, Survey
from recovery.swarm.votes import survives_without

Check = Callable[[NodeReport, "Situation"], str]


@dataclass(frozen=True)
class Situation:
    """The state of the cluster right before a step."""

    survey: Survey
    """The answers of every manager and of the step's node."""
    copies: bool
    """Whether S3 holds a copy of this cluster."""

    @property
    def leader(self) -> NodeReport | None:
        """The report of a manager that has a leader."""
        return self.survey.leader


@dataclass(frozen=True)
class Precondition:
    """One action's precondition, as a text and as a check."""

    text: str
    objection: Check


PRECONDITIONS: dict[Action, Precondition] = {}


def objection(step: Step, survey: Survey, *, copies: bool) -> str:
    """Why Requorum must not take a step now; empty if it may.

    ``survey`` has every manager and the step's node. ``copies`` says whether S3 holds a copy of this cluster.
    """
    at = Situation(survey, copies)
    if step.action is Action.PROVE:
        return _no_leader(at)
    return PRECONDITIONS[step.action].objection(survey.of(step.node), at)


def precondition(action: Action) -> str:
    """What must be true before a step of this action, as a text."""
    return PROVE if action is Action.PROVE else PRECONDITIONS[action].text


PROVE = "the swarm has a leader"


def _before(action: Action, text: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        PRECONDITIONS[action] = Precondition(text, check)
        return check

    return register


@_before(
    Action.FOUND,
    "every manager is known to be in no swarm, no worker is in a swarm, and S3 holds no copy of this cluster",
)
def _found(_: NodeReport, at: Situation) -> str:
    if at.copies:
        return "S3 holds copies of this cluster"
    return _joined([*_not_lost(at), *(f"{r.node.name} is in a swarm" for r in at.survey.workers if r.in_swarm)])


@_before(Action.REBUILD, "the machine does not exist")
def _rebuild(node: NodeReport, _: Situation) -> str:
    return "" if node.reach is Reach.ABSENT else f"{node.node.name} exists ({node.reach})"


@_before(Action.SAVE, "it has a log")
def _save(node: NodeReport, _: Situation) -> str:
    return "" if node.raft else f"{node.node.name} has no log"


@_before(Action.UNLOCK, "it is locked")
def _unlock(node: NodeReport, _: Situation) -> str:
    return "" if node.state is LocalState.LOCKED else f"{node.node.name} is not locked"


@_before(Action.OPEN, "no manager has a leader, and it has a log")
def _open(node: NodeReport, at: Situation) -> str:
    return _a_leader(at) or _save(node, at)


@_before(Action.REPAIR, "no manager has a leader, no manager is silent, and its log is damaged")
def _repair(node: NodeReport, at: Situation) -> str:
    harmed = "" if node.damage or node.mended else f"{node.node.name} has no damaged log"
    return _a_leader(at) or _joined(_hidden(at)) or _save(node, at) or harmed


@_before(Action.FORCE, "no manager has a leader, no manager is silent, and it has a log that is not damaged")
def _force(node: NodeReport, at: Situation) -> str:
    harmed = f"the log of {node.node.name} is damaged ({node.damage})" if node.damage else ""
    return _a_leader(at) or _joined(_hidden(at)) or _save(node, at) or harmed


@_before(Action.RESTORE, "every manager is known to be lost, and its engine is in no swarm")
def _restore(node: NodeReport, at: Situation) -> str:
    if node.reach is not Reach.ANSWERS:
        return f"{node.node.name} does not answer ({node.reach})"
    return _a_leader(at) or _joined(_not_lost(at))


@_before(Action.COMPARE, "it has a leader, and its restore is not proven yet")
def _compare(node: NodeReport, _: Situation) -> str:
    if not node.led:
        return f"{node.node.name} has no leader"
    return "" if node.placed else f"{node.node.name} has no restore that is not proven yet"


@_before(Action.LOCK, "it has a leader")
def _lock(node: NodeReport, _: Situation) -> str:
    return "" if node.led else f"{node.node.name} has no leader"


@_before(
    Action.LEAVE,
    "the swarm has a leader, and does not list it, or it is a manager without a vote there or with a damaged log",
)
def _leave(node: NodeReport, at: Situation) -> str:
    if at.leader is None:
        return _no_leader(at)
    unused = node.is_left_behind(at.leader) or (node.in_swarm and node.must_rejoin(at.leader))
    return "" if unused or node.is_unlisted(at.leader) else f"{node.node.name} is a member of the swarm"


@_before(
    Action.ASIDE,
    "the swarm has a leader, and the node has a log and is in no swarm, or does not start because of the log",
)
def _aside(node: NodeReport, at: Situation) -> str:
    unused = node.left_over or node.halted
    return _no_leader(at) or ("" if unused else f"{node.node.name} has no unused log")


@_before(Action.JOIN, "the swarm has a leader, and the node is a member of it, or is in no swarm and has no log")
def _join(node: NodeReport, at: Situation) -> str:
    name = node.node.name
    if at.leader is None:
        return _no_leader(at)
    if node.reach is not Reach.ANSWERS:
        return f"{name} does not answer ({node.reach})"
    if node.left_over:
        return f"{name} has an old log"
    if not node.in_swarm:
        return ""
    if node.cluster_id != at.leader.cluster_id:
        return f"{name} belongs to swarm {node.cluster_id}, and this cluster is swarm {at.leader.cluster_id}"
    if node.state is LocalState.LOCKED:
        return f"{name} is locked"
    if node.is_left_behind(at.leader):
        return f"{name} is still in the old swarm"
    listed = any(member.node_id == node.node_id for member in at.leader.members)
    return "" if listed else f"the swarm removed {name}, but its engine still counts it as a member"


@_before(Action.READDRESS, "the swarm has it at a former address, and keeps its quorum without its vote")
def _readdress(node: NodeReport, at: Situation) -> str:
    entry = at.survey.misplaced.get(node.node.name)
    return _vote_is_needed(entry, at) if entry else f"the swarm already has the address of {node.node.name}"


@_before(Action.REDIRECT, "the swarm has a leader, and the node looks for a manager at a former address")
def _redirect(node: NodeReport, at: Situation) -> str:
    if at.leader is None:
        return _no_leader(at)
    looks = node in at.survey.stranded or (node.node.role == "manager" and at.survey.misplaced)
    return "" if looks else f"{node.node.name} already knows the present address of a manager"


@_before(Action.DEMOTE, "every manager votes, and the swarm keeps its quorum without this worker's vote")
def _demote(node: NodeReport, at: Situation) -> str:
    if at.leader is None:
        return _no_leader(at)
    listed = at.leader.members
    voters = [member for member in listed if member.votes and member.reachable]
    told = at.survey.told
    names = [m.node.name for m in at.survey.managers if not entries_of(m.node, voters, told)]
    if names:
        return f"{', '.join(names)} cannot vote yet"
    entry = next((member for member in listed if member.node_id == node.node_id and member.votes), None)
    return _vote_is_needed(entry, at) if entry else f"{node.node.name} does not vote"


def _no_leader(at: Situation) -> str:
    return "" if at.leader else "no manager has a leader"


def _a_leader(at: Situation) -> str:
    return f"{at.leader.node.name} has a leader" if at.leader else ""


def _not_lost(at: Situation) -> list[str]:
    return [f"{r.node.name} is not known to be lost ({r.reach})" for r in at.survey.managers if not r.known_lost]


def _hidden(at: Situation) -> list[str]:
    known = (Reach.ANSWERS, Reach.ABSENT, Reach.NAMED)
    hides = (report for report in at.survey.managers if report.reach not in known and not report.halted)
    return [f"{report.node.name} may be alive ({report.reach})" for report in hides]


def _vote_is_needed(entry: Member, at: Situation) -> str:
    members = at.leader.members if at.leader else ()
    return "" if survives_without(entry, members) else f"the quorum would be lost without {entry.hostname}"


def _joined(reasons: list[str]) -> str:
    return ", ".join(reasons)
