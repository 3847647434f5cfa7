"""What is wrong in one sentence, what it means, and what to run next: the same words wherever a state is shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from recovery.planning import access
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import Diagnosis, Kind, cause
from recovery.planning.doctor import cut_off, examine, fence_command, reconnect, trouble
from recovery.planning.findings.finding import Proposal, Remedy
from recovery.planning.plan import Plan, Source
from recovery.swarm.model import NodeReport, Reach, Survey
from recovery.swarm.raft import quorum

if TYPE_CHECKING:
    from recovery.settings import Settings

STARTS = 60
"""Seconds after which an engine that was started has found its swarm, also on a busy machine. Sooner, it looks unhealthy."""
SHOWN = 3
"""The most nodes whose trouble one sentence names."""
UPDATE = "pulumi up"
PROVE = f"{UPDATE}. If it changes nothing, prove what the earlier run did: requorum recover"
"""Pulumi proves nothing if its state agrees with the swarm, as after an interrupted run of the command line."""
SHOW_STATE = "requorum status"
SHOW_PLAN = "requorum plan"
"""Shows the plan and its ID, if a survey alone cannot tell them."""
NO_CHANGE = (
    "Containers that run go on running. Nothing can be changed: no task is moved or replaced, and no service is updated"
)
WORKS = "The swarm works, and keeps its quorum"
NONE_TO_SPARE = "The swarm works. It has no manager to spare: if it loses one more, the quorum is lost"
UNCLEAR = "Requorum changes nothing until it is clear which swarm each machine belongs to"
UNKNOWN = "Requorum cannot tell whether anything is lost, and changes nothing"
LEFT_ALONE = (
    "The swarm works, and keeps its quorum. Only the way from here is cut, so Requorum leaves these machines alone"
)
NOTHING_YET = "Nothing runs yet, and nothing is lost"
MEANING: Mapping[Kind, str] = {
    Kind.HEALTHY: WORKS,
    Kind.MINORITY_LOST: WORKS,
    Kind.QUORUM_LOST: NO_CHANGE,
    Kind.ALL_LOST: NO_CHANGE,
    Kind.LOCKED: NO_CHANGE,
    Kind.PARTITIONED: LEFT_ALONE,
    Kind.FORKED: UNCLEAR,
    Kind.FOREIGN: UNCLEAR,
    Kind.ABSENT: NOTHING_YET,
    Kind.ACCESS: UNKNOWN,
}
FROM_SOURCE = frozenset({"no-survivor", "no-good-copy"})
"""The refusals of a plan that was made without looking for survivors and copies: the real plan may differ."""


@dataclass(frozen=True)
class Guidance:
    """What an operator reads first, and does next."""

    state: str
    """The state in a few words, exact."""
    sentence: str
    """What is wrong."""
    meaning: str = ""
    """What that means for the services. Empty if nothing is wrong."""
    command: str = ""
    """What to run or do next. Empty if there is nothing to do."""
    well: bool = False
    """Whether nothing is wrong with the swarm, and every run is proven."""

    @property
    def text(self) -> tuple[str, ...]:
        """What is wrong and what it means, a line each."""
        return tuple(filter(None, (self.sentence, self.meaning)))

    @property
    def next(self) -> tuple[str, ...]:
        """The line with the command; none if there is nothing to do."""
        return (f"next: {self.command}",) if self.command else ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The text and the next command."""
        return self.text + self.next

    @property
    def json(self) -> dict[str, str | None]:
        """The keys of the JSON contract."""
        return {"state": self.state, "sentence": self.sentence, "meaning": self.meaning, "next": self.command or None}


def guide(
    settings: Settings,
    survey: Survey,
    diagnosis: Diagnosis,
    plan: Plan | None = None,
    *,
    changed: bool = False,
    unfinished: datetime | None = None,
) -> Guidance:
    """The guidance for a diagnosis.

    ``plan`` is None if only the nodes were asked. Then a lost quorum has no plan ID yet. ``changed`` says that an update
    changes something beside the plan's steps. ``unfinished`` is when the run began that no report covers.
    """
    state, sentence = _words(settings, survey, diagnosis)
    command = _command(settings, survey, diagnosis, plan, changed=changed, unfinished=unfinished is not None)
    meaning = _meaning(survey, diagnosis) if command or _lame(survey, diagnosis) else ""
    if unfinished:
        since = f"{unfinished:%Y-%m-%d %H:%M:%S} UTC"
        sentence = f"the run that began at {since} is not proven: it still runs, or it was interrupted. Now: {sentence}"
        state = f"{state}, a run is not proven"
    return Guidance(state, sentence, meaning, command, state == Kind.HEALTHY)


def _words(settings: Settings, survey: Survey, diagnosis: Diagnosis) -> tuple[str, str]:
    """The state, and the sentence for it."""
    kind, total = diagnosis.kind, len(settings.managers)
    match kind:
        case Kind.HEALTHY:
            return _healthy(survey, diagnosis)
        case Kind.MINORITY_LOST:
            lacks = ", ".join(diagnosis.lacking)
            has = f"{total - len(diagnosis.lacking)} of {total} managers"
            return has, f"the swarm has {has}, and lacks {lacks}{cause(diagnosis)}"
        case Kind.QUORUM_LOST:
            return str(kind), _quorum_lost(survey, diagnosis)
        case Kind.LOCKED:
            return str(kind), f"no manager leads, because {', '.join(diagnosis.locked)} wait for the unlock key"
        case Kind.ALL_LOST:
            return str(kind), f"all {total} managers are lost" if total > 1 else "the only manager is lost"
        case Kind.ABSENT:
            return "not founded yet", f"cluster {settings.cluster} is not founded yet: {diagnosis.evidence[0]}"
        case _:
            return str(kind), diagnosis.evidence[0]


def _quorum_lost(survey: Survey, diagnosis: Diagnosis) -> str:
    managers = survey.managers
    lost = sum(report.known_lost for report in managers)
    unknown = [
        r.node.name for r in managers if r.node.name in diagnosis.silent and r.node.name not in diagnosis.holders
    ]
    holders = (*diagnosis.holders, *diagnosis.stand_ins)
    parts = (
        f"{lost} of {len(managers)} managers {'is' if lost == 1 else 'are'} lost" if lost else "",
        f"{', '.join(holders)} {'have' if len(holders) > 1 else 'has'} the swarm's log" if holders else "",
        f"{', '.join(unknown)} may be alive" if unknown else "",
        "an election may be under way, which takes up to 20 s" if survey.electing else "",
    )
    return f"the quorum is lost: {'; '.join(filter(None, parts)) or 'no manager reports a leader'}{cause(diagnosis)}"


def _healthy(survey: Survey, diagnosis: Diagnosis) -> tuple[str, str]:
    lame = _lame(survey, diagnosis)
    managers = len(survey.managers)
    if not lame:
        return "healthy", f"all {managers} managers are healthy" if managers > 1 else "the manager is healthy"
    shown = [f"{report.node.name}: {why}" for report, why in lame[:SHOWN]]
    more = [f"and {len(lame) - SHOWN} nodes more"] if len(lame) > SHOWN else []
    whole = "all managers vote" if any(report.node.role == "manager" for report, _ in lame) else "managers healthy"
    words: dict[str, list[str]] = {}
    for report, _ in lame:
        words.setdefault(_word(report, survey, diagnosis), []).append(report.node.name)
    state = ", ".join((whole, *(f"{_named(names)} {word}" for word, names in words.items())))
    return state, "; ".join(shown + more)


def _lame(survey: Survey, diagnosis: Diagnosis) -> list[tuple[NodeReport, str]]:
    """The nodes of a survey that are not well, and why, managers first."""
    lost = {*diagnosis.missing, *diagnosis.away}
    found = [
        (report, trouble(report, survey) or (_loss(report) if report.node.name in lost else ""))
        for report in survey.managers + survey.workers
    ]
    return [(report, why) for report, why in found if why]


def _loss(report: NodeReport) -> str:
    match report.reach:
        case Reach.ABSENT:
            return "its machine does not exist"
        case Reach.NAMED:
            return f"it is {report.named}"
        case _:
            return "it is in no swarm"


def _word(report: NodeReport, survey: Survey, diagnosis: Diagnosis) -> str:
    entry = survey.entry(report.node)
    if report.node.name in diagnosis.unseen or (report.reach is Reach.SILENT and entry and entry.ready):
        return "not seen from here"
    return "not ready" if report.node.role == "manager" else "down"


def _named(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= SHOWN else f"{len(names)} nodes"


def _meaning(survey: Survey, diagnosis: Diagnosis) -> str:
    if diagnosis.kind is Kind.MINORITY_LOST and survey.leader:
        voters = [member for member in survey.leader.members if member.votes]
        if sum(member.reachable for member in voters) <= quorum(len(voters)):
            return NONE_TO_SPARE
    return MEANING[diagnosis.kind]


def _command(
    settings: Settings, survey: Survey, diagnosis: Diagnosis, known: Plan | None, *, changed: bool, unfinished: bool
) -> str:
    if faults := access.in_the_way(survey, diagnosis):
        return access.command(faults[0], settings.ssh)
    plan = known or make_plan(diagnosis, settings, Source(), (), survey.taken)
    if plan.id and not (plan.needs_id and plan.refusal):
        return plan.consent
    if refusal := plan.refusal:
        if refusal.code == "silent-manager":
            return _back_or_lost(settings, survey, diagnosis)
        if known is None and refusal.code in FROM_SOURCE:
            return SHOW_PLAN
        return "see docs/runbooks/quorum-lost.md" if refusal.code == "no-survivor" else refusal.remedy
    if diagnosis.kind is Kind.ABSENT and (
        off := [r.node for r in survey.reports if r.reach in (Reach.SILENT, Reach.NAMED)]
    ):
        machines = ", ".join(f"{node.name} ({node.address})" for node in off)
        return f"start {machines}, or correct the addresses in the stack file. Then: {UPDATE}"
    if plan.steps:
        return UPDATE
    if unfinished:
        return PROVE
    return _for_one_node(settings, survey, diagnosis) or (UPDATE if changed else "")


def _for_one_node(settings: Settings, survey: Survey, diagnosis: Diagnosis) -> str:
    """What repairs the first node that an update does not repair; empty if nothing is to be done."""
    if diagnosis.kind is Kind.PARTITIONED and all(survey.of(n).reach is Reach.SILENT for n in diagnosis.lacking):
        names = ", ".join(f"{name} ({settings.node(name).address})" for name in diagnosis.lacking)
        return reconnect(names)
    down = [name for name in diagnosis.silent if not cut_off(survey, survey.of(name))]
    if back := _bring_back(settings, survey, diagnosis, down):
        return back
    if diagnosis.away:
        node = settings.node(diagnosis.away[0])
        return f"start a fresh machine for {node.name} at {node.address}, then: {UPDATE}"
    others = _first(settings, survey, diagnosis, (report.node.name for report in survey.reports))
    return next((proposal.command for proposal in others.values()), "")


def _back_or_lost(settings: Settings, survey: Survey, diagnosis: Diagnosis) -> str:
    """How to bring back the silent managers, and how to declare those lost that may be."""
    silent = [node.name for node in settings.managers if node.name in diagnosis.silent]
    fences = [
        fence_command(settings, settings.node(case.node), up=False)
        for case in examine(settings, survey, diagnosis)
        if case.node in silent
        if any(proposal.remedy is Remedy.REPLACE and not proposal.refused for proposal in case.proposals)
    ]
    lacking = "a machine is lost" if settings.hosts.made else "no machine is left for one"
    lost = f". If {lacking}: {'; '.join(fences)}" if fences else ""
    return _bring_back(settings, survey, diagnosis, silent) + lost


def _bring_back(settings: Settings, survey: Survey, diagnosis: Diagnosis, names: Sequence[str]) -> str:
    """The command for these silent nodes: for one that is up, or else to start them all; empty if there is none."""
    firsts = _first(settings, survey, diagnosis, names)
    started = [node for node, proposal in firsts.items() if proposal.remedy is Remedy.START]
    if others := [proposal.command for node, proposal in firsts.items() if node not in started]:
        return others[0]
    if not started:
        return ""
    after = SHOW_PLAN if survey.leader is None else SHOW_STATE if settings.hosts.made else UPDATE
    if settings.hosts.driver == "docker":
        start = f"docker start {' '.join(started)} (docker unpause, where one is paused), wait {STARTS} s"
    else:
        start = f"switch on {', '.join(f'{name} ({settings.node(name).address})' for name in started)}"
        if not settings.hosts.made:
            place = "in place of each that is lost" if len(started) > 1 else "in its place if it is lost"
            start += f", or start a fresh machine {place}"
    return f"{start}, then: {after}"


def _first(settings: Settings, survey: Survey, diagnosis: Diagnosis, names: Iterable[str]) -> dict[str, Proposal]:
    """The first command for each of these nodes that may be run now."""
    among = set(names)
    cases = (case for case in examine(settings, survey, diagnosis) if case.node in among)
    firsts = {case.node: next((one for one in case.proposals if not one.refused), None) for case in cases}
    return {node: proposal for node, proposal in firsts.items() if proposal}
