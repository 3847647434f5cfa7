"""Decides what to do about one manager that no stack file names."""

from collections.abc import Iterator

from recovery.planning import damaged, steps
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan, Refusal
from recovery.planning.steps import Step
from recovery.swarm.engine_kind import INSTALL_ENGINE
from recovery.swarm.model import Reach
from recovery.swarm.single import Single
from recovery.swarm.survivor import Survivor

RESTARTED = (
    "the Docker engine is restarted: containers on this host stop, and swarm starts its tasks again. "
    "Containers on other nodes keep running"
)
KINDS = ("nodes", "services", "secrets", "configs", "networks")
START = "systemctl reset-failed docker.service; systemctl start docker.service"


def rescue_plan(seen: Single) -> Plan:
    """The plan for one manager: nothing, a refusal, or steps that need the operator's consent."""
    report, name = seen.report, seen.report.node.name
    if report.led:
        return _finished(seen)
    if refusal := _refusal(seen):
        return Plan(Kind.QUORUM_LOST, refusal=refusal)
    if seen.survivor is None:
        sequence = (steps.keep(name), steps.unlock_with(name), steps.prove_alone(name))
        return Plan(Kind.LOCKED, report.cluster_id, sequence, survivor=name)
    return _force(seen, seen.survivor)


def _finished(seen: Single) -> Plan:
    """The plan for a manager with a leader: nothing, unless an earlier run was interrupted before its end.

    What is left of that run gives back what it took, and needs no new consent.
    """
    report, name = seen.report, seen.report.node.name
    if not (report.opened or report.repaired):
        return Plan(Kind.HEALTHY, report.cluster_id)
    locks = (steps.lock(name, escrow=False),) if report.opened else ()
    return Plan(Kind.HEALTHY, report.cluster_id, (*locks, steps.prove_alone(name)))


def _refusal(seen: Single) -> Refusal | None:
    """Why nothing can be done for a manager without a leader; None if something can."""
    report = seen.report
    if report.reach is Reach.NO_RIGHTS:
        return Refusal(report.detail, "log in as root: ssh://root@HOST", code="missing-rights")
    if not report.raft:
        return Refusal(_no_log(seen), _elsewhere(seen), code="no-log")
    if report.unsupported:
        why = f"its Docker engine is {report.unsupported}, which Requorum can neither copy nor restore"
        return Refusal(why, INSTALL_ENGINE, code="engine-unsupported")
    if report.full:
        why = f"the disk is full or was, which stopped Docker's raft log: {report.full}"
        return Refusal(
            why, f"free more than 64 MiB, then on the host: {START.replace('start', 'restart')}", code="disk-full"
        )
    if seen.lacks:
        why = f"the host lacks {', '.join(seen.lacks)}, which trying a log in a sandbox needs"
        return Refusal(why, "install the packages of these tools on the host", code="tools-missing")
    if seen.answering:
        return _others_answer(seen.answering)
    if report.reach is Reach.NO_ENGINE and not report.halted:
        why = "its Docker engine does not run, and its raft log is not damaged"
        return Refusal(why, f"start the engine on the host: {START}", code="engine-silent")
    if seen.survivor and seen.survivor.useless:
        kept = f". Its swarm directory is kept in {seen.kept}" if seen.kept else ""
        why = f"{seen.survivor.damage}{kept}"
        return Refusal(why, _elsewhere(seen), code="log-unreadable")
    return None


def _no_log(seen: Single) -> str:
    report = seen.report
    if report.in_swarm:
        return "the node is a worker of a swarm, or lost its vote as a manager. It holds no raft log"
    return f"the host is in no swarm, and {seen.root}/swarm holds no raft log"


def _elsewhere(seen: Single) -> str:
    """Where the log of the swarm may be."""
    if seen.beside:
        return f"look for the log in what lies next to it: {', '.join(seen.beside)}. See docs/runbooks/rescue.md"
    if seen.others:
        return f"rescue another manager of the swarm: {', '.join(seen.others)}"
    return f"look for a backup of {seen.root}/swarm, or for another manager of the swarm: docs/runbooks/rescue.md"


def _others_answer(answering: tuple[str, ...]) -> Refusal:
    first = answering[0]
    why = f"another manager of its swarm answers: {', '.join(answering)}. The swarm may live there, and then two would exist"
    remedy = (
        f"run on {first}: docker node ls. If it lists a leader, let this manager leave (docker swarm leave --force) and join "
        f"again. If it has no leader, rescue the manager that you want to keep, after on each other one: systemctl stop "
        "docker.socket docker.service"
    )
    return Refusal(why, remedy, code="manager-answers")


def _force(seen: Single, best: Survivor) -> Plan:
    report = seen.report
    return Plan(
        Kind.QUORUM_LOST,
        report.cluster_id,
        tuple(_forcing(seen, best)),
        survivor=best.name,
        unsure=best.position.index - best.position.commit,
        cut=best.cut or None,
        without=seen.silent,
        proven=best.end,
        losses=tuple(_losses(seen, best)),
    )


def _forcing(seen: Single, best: Survivor) -> Iterator[Step]:
    name = best.name
    yield steps.keep(name)
    if best.locked and not best.damage:
        yield steps.open_with(name)
    if best.damage and not best.in_place:
        yield steps.repair(name, best.end)
    yield steps.force(seen.report.node)
    if best.locked or seen.report.opened:
        yield steps.lock(name, escrow=False)
    yield steps.prove_alone(name, tried=best.holds is not None)


def _losses(seen: Single, best: Survivor) -> Iterator[str]:
    """What the operator must know before the consent."""
    report = seen.report
    if best.damage:
        yield from damaged.repaired(best)
    else:
        yield f"its raft log is not damaged: {best.text}"
        if best.trial:
            yield f"its log was not tried in a sandbox: {best.trial}"
    if best.holds:
        held = ", ".join(f"{len(best.holds.objects.get(kind, ()))} {kind}" for kind in KINDS)
        yield f"the swarm that came up in the sandbox holds {held}"
    if unsure := best.position.index - best.position.commit:
        yield f"entries at its end that are not known to be committed, and may be lost: {unsure}"
    if seen.silent:
        yield (
            f"other managers that do not answer: {', '.join(seen.silent)}. They lose their vote. If one still runs, two swarms "
            "will exist. With your consent you confirm that they are off, and stay off until they have left the old swarm"
        )
    else:
        yield "its swarm has no other manager"
    if best.locked:
        yield "the swarm is autolocked. It gets a new unlock key, and the old one is of no use any more"
    if best.damage and not best.in_place:
        yield RESTARTED
    if report.marked:
        yield (
            f"Requorum prepared this host for cluster {report.marked}. If you have its stack file, do not rescue it alone: "
            "requorum plan"
        )
