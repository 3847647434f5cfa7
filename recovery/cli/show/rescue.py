"""What is found of one manager without a stack file, the plan for it, and a swarm that is back, as text."""

from collections.abc import Iterator

from recovery.operations.rescue import Rescued
from recovery.planning.checks import Result
from recovery.planning.plan import Plan
from recovery.swarm.model import LocalState, NodeReport, Reach
from recovery.swarm.single import Single

TAKE_OVER = "docs/adopt.md"


def found_lines(host: str, seen: Single, plan: Plan) -> Iterator[str]:
    """What the host is like, then the plan and its ID."""
    report = seen.report
    yield f"{host}: {_state(seen)}"
    if report.cluster_id:
        yield f"swarm {report.cluster_id}, node {report.node_id}, address {report.node.address}"
    if report.members:
        ready = sum(member.ready for member in report.members)
        yield f"{len(report.members)} nodes, of which {ready} are Ready"
    for address in seen.others:
        how = "it answers" if address in seen.answering else "" if report.led else "it does not answer"
        yield f"another manager: {address}" + (f" ({how})" if how else "")
    if seen.kept:
        yield f"safety copy: {seen.kept}"
    yield from (f"next to it: {path}" for path in seen.beside if path != seen.kept)
    if plan.steps:
        yield f"plan {plan.id}:" if plan.id else "an earlier run did not reach its end. What is left of it:"
        yield from plan.lines
    elif not plan.refusal:
        yield "nothing to do"


def rescued_lines(host: str, seen: Single, rescued: Rescued) -> Iterator[str]:
    """The swarm that is back, and what to do next."""
    yield f"{host} leads swarm {rescued.cluster_id}, as docker node ls shows:"
    for member in rescued.members:
        status = "Ready" if member.ready else "Down"
        yield f"  {member.hostname or member.node_id} ({member.address or 'no address'}): {status}, {member.role}{', leader' if member.leader else ''}"
    for check in rescued.tasks:
        yield f"  service {check.subject}: {check.detail}"
    if any(check.result is not Result.OK for check in rescued.tasks):
        yield "tasks start again on nodes that are Ready: docker service ls"
    for number, line in enumerate(_next(seen, rescued), 1):
        yield f"next {number}: {line}"


def _next(seen: Single, rescued: Rescued) -> Iterator[str]:
    survivor = seen.survivor
    if seen.report.opened or (survivor and survivor.locked):
        yield "keep the new unlock key in a safe place. On the host: docker swarm unlock-key"
    down = [member for member in rescued.members if not member.ready]
    if seen.others:
        yield f"when one of {', '.join(seen.others)} starts again, run on it at once: docker swarm leave --force"
        yield "let each of them join again. On the host: docker swarm join-token manager. Then remove its old entry: docker node rm ID"
    elif down:
        names = ", ".join(f"{member.hostname or 'a node'} ({member.node_id})" for member in down)
        yield f"nodes that are down: {names}. Workers come back within a minute. If one does not, on the host: docker node rm ID"
    if len([member for member in rescued.members if member.role == "manager" and member.ready]) < 3:
        yield "a swarm with fewer than three managers survives no loss of a manager. Add managers"
    if seen.kept or seen.beside or survivor:
        yield f"once all is well, remove on the host: {seen.root}/swarm.saved-* and {seen.root}/swarm.before-*"
    yield f"to keep copies of the swarm from now on, take it into a stack file with requorum:clusterId: {rescued.cluster_id} ({TAKE_OVER})"


def _state(seen: Single) -> str:
    report = seen.report
    if report.led:
        return "its swarm is healthy as far as this manager tells: it has a leader, and a quorum"
    if report.full:
        return f"its disk is full, so that Docker's raft log stopped: {report.full}"
    if report.damage:
        return f"its raft log is damaged ({report.damage}){_said(report)}"
    if report.mended:
        return f"a repaired log is in place ({report.mended}), and no new cluster was forced from it yet"
    if report.reach is Reach.NO_ENGINE:
        return f"its Docker engine does not answer{_said(report)}"
    if report.state is LocalState.LOCKED:
        return "its engine waits for the unlock key"
    if report.raft:
        return f"it has a raft log that is not damaged, and no leader{_said(report)}"
    return f"its engine's swarm state is {report.state}, and it has no raft log"


def _said(report: NodeReport) -> str:
    return f". The engine says: {report.detail}" if report.detail else ""
