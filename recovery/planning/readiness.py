"""Whether a recovery from here would work if all managers were lost now: one condition after the other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from recovery.copies.copy import Copy
from recovery.copies.manifest import WITH_INVENTORY, Manifest, Proof, Verdict
from recovery.errors import DamagedCopy, RequorumError
from recovery.planning.conditions import IDENTITY, Condition, State, unmet
from recovery.planning.diagnosis import WITH_LEADER, Kind
from recovery.planning.guidance import SHOW_PLAN, SHOWN, UPDATE, Guidance
from recovery.spans import span
from recovery.swarm.raft_options import restored

if TYPE_CHECKING:
    from recovery.settings import Settings
    from recovery.swarm.model import Survey

BACKUP, DRILL, AGENTS = "requorum copies take", "requorum copies drill", "requorum agents"
NO_RECOVERY = "The swarm works. If all managers were lost now, a recovery from here would not work"
AT_RISK = "The swarm works. If all managers were lost now, a recovery from here would lose more than your limits allow, or may fail"
NOT_KNOWN = (
    "The swarm works. Requorum cannot tell whether a recovery from here would work if all managers were lost now"
)
Found = tuple[Copy, Manifest | DamagedCopy]


@dataclass(frozen=True)
class Opener:
    """The identity file of a setting, as it is on this machine."""

    setting: str
    file: str = ""
    fault: str = ""
    """Why nothing here can open what is sealed. Empty if there is an identity."""
    public: frozenset[str] = frozenset()
    """The recipients that its identities open."""


@dataclass(frozen=True)
class Stock:
    """What S3 has for a recovery, and what this machine can open."""

    identity: Opener
    escrow: Opener
    error: RequorumError | None = None
    """Why S3 cannot be read. Then nothing else is known of it."""
    copies: Mapping[str, Sequence[Found]] = field(default_factory=dict)
    """For each manager its copies, newest first, down to the newest proven one."""
    further: bool = False
    """Whether there are older copies that nobody looked at."""
    first: Mapping[str, datetime] = field(default_factory=dict)
    """When the oldest copy of each manager was taken."""
    drills: Mapping[str, Proof] = field(default_factory=dict)
    """The last drill of each manager."""
    keys: Mapping[str, bool | None] = field(default_factory=dict)
    """The fingerprints of the unlock keys in escrow, and whether an identity here opens each of them."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """The sites that do not answer while another site does, and why."""

    @property
    def proven(self) -> dict[str, Copy]:
        """The newest proven copy of each manager that has one."""
        newest = {name: newest_proven(found) for name, found in self.copies.items()}
        return {name: one[0] for name, one in newest.items() if one}


@dataclass(frozen=True)
class AgentFault:
    """What is wrong with one manager's agent. ``known`` is False if its node could not be asked."""

    why: str
    remedy: str
    known: bool = True

    @property
    def text(self) -> str:
        """What is wrong, and what to do next."""
        return f"{self.why}. next: {self.remedy}"


Agents = Mapping[str, AgentFault | None]
"""The fault of each manager's agent, by the manager's name. None: nothing is wrong."""


def judge(settings: Settings, survey: Survey, stock: Stock, agents: Agents, now: datetime) -> tuple[Condition, ...]:
    """Every condition except those of the swarm itself. ``agents`` is empty if the settings name none."""
    return (
        *_named(tuple(_copies(settings, survey, stock, now))),
        of_identity(settings, stock),
        _unlock_keys(settings, survey, stock),
        *_sites(settings, stock),
        _agents(settings, agents),
        _drills(settings, stock, now),
    )


def of_swarm(guidance: Guidance, kind: Kind, degraded: Sequence[str]) -> tuple[Condition, ...]:
    """The conditions of the swarm: its managers, and all else that ``degraded`` names, a line each."""
    state = State.OK if kind is Kind.HEALTHY else State.UNKNOWN if kind is Kind.ACCESS else State.FAILED
    remedy = guidance.command if state is not State.OK else ""
    quorum = Condition("quorum", state, guidance.sentence, "every manager", str(kind), remedy)
    if kind is not Kind.HEALTHY:
        return (quorum,)
    quorum = replace(quorum, found="the swarm has a leader, which reaches all managers", short="")
    if not degraded:
        return quorum, Condition("nodes", State.OK, "every node is in order")
    return quorum, Condition("nodes", State.FAILED, "; ".join(degraded), "", "degraded", guidance.command)


def completed(
    guidance: Guidance, kind: Kind, conditions: Sequence[Condition], error: RequorumError | None = None
) -> Guidance:
    """The guidance of a swarm that has a leader, with the conditions that are not met.

    What repairs the swarm comes first. If nothing does, the gravest condition names the next command. Without a leader,
    no plan can be made while S3 cannot be read because of ``error``.
    """
    faults = unmet(conditions)
    if error and guidance.command == SHOW_PLAN:
        return replace(guidance, command=f"{error.remedy}. Then: {SHOW_PLAN}")
    if kind not in WITH_LEADER or not faults:
        return guidance
    shorts = tuple(dict.fromkeys(fault.short for fault in faults))
    words = (*shorts[:SHOWN], *([f"{len(shorts) - SHOWN} more"] if len(shorts) > SHOWN else []))
    state, first = ", ".join((guidance.state, *words)), faults[0]
    if not guidance.well or guidance.command not in ("", UPDATE):
        return replace(guidance, state=state)
    meaning = NOT_KNOWN if first.state is State.UNKNOWN else NO_RECOVERY if first.grave else AT_RISK
    more = f". requorum check shows {len(faults) - 1} more" if len(faults) > 1 else ""
    sentence = f"{guidance.sentence}. {first.name}: {first.found}{more}"
    return replace(guidance, state=state, sentence=sentence, meaning=meaning, command=guidance.command or first.remedy)


def _copies(settings: Settings, survey: Survey, stock: Stock, now: datetime) -> Iterator[Condition]:
    """A condition for each manager's copies. A lack is grave if no manager has a copy that a recovery may use."""
    limit = settings.backup.limits.copy_age
    away = {report.node.name for report in survey.managers if not report.led}
    usable = any(map(_may_serve, stock.copies.values())) or stock.further
    for node in settings.managers:
        name, words = f"copy of {node.name}", f"at most {span(limit)} old"
        if stock.error:
            yield Condition(name, State.UNKNOWN, "S3 cannot be read", words, "copies unknown", stock.error.remedy)
            continue
        found = stock.copies.get(node.name, ())
        proven = newest_proven(found)
        if proven and now - proven[0].dated <= limit:
            yield Condition(name, State.OK, f"proven, {span(now - proven[0].dated)} old", words)
            continue
        why, short = _lack(found, proven, now, limit)
        back = f"bring {node.name} back (requorum doctor), then: {BACKUP}"
        remedy = back if node.name in away else BACKUP
        yield Condition(name, State.FAILED, why, words, short, remedy, grave=not usable)


def _named(conditions: Sequence[Condition]) -> Iterator[Condition]:
    """The conditions of managers. A headline names the managers that a fault concerns, unless it concerns all."""
    for one in conditions:
        names = [other.name.rpartition(" ")[2] for other in conditions if other.short == one.short]
        short = f"{one.short} ({', '.join(names)})" if one.short and len(names) < len(conditions) else one.short
        yield replace(one, short=short)


def _lack(
    found: Sequence[Found], proven: tuple[Copy, Manifest] | None, now: datetime, limit: timedelta
) -> tuple[str, str]:
    """Why a manager has no proven copy that is young enough, in words and for a headline."""
    if not found:
        return "there is none", "no copy"
    copy, manifest = found[0]
    age = span(now - copy.dated)
    if now - copy.dated > limit:
        return f"the newest is {age} old", "copies too old"
    if isinstance(manifest, DamagedCopy):
        return f"the newest, {age} old, cannot be used: {manifest.why}", "no usable copy"
    if manifest.kind not in WITH_INVENTORY:
        return f"the newest, {age} old, is a {manifest.kind} copy, from which no swarm is restored", "no proven copy"
    detail = manifest.proof.detail if manifest.proof else "it was not restored in a sandbox"
    word = "failed its restore test" if manifest.verdict is Verdict.FAILED else "is not proven"
    older = f". The newest proven one is {span(now - proven[0].dated)} old" if proven else ""
    return f"the newest, {age} old, {word}: {detail}{older}", "no proven copy"


def newest_proven(found: Sequence[Found]) -> tuple[Copy, Manifest] | None:
    """The newest proven copy that a swarm can be restored from."""
    for copy, manifest in found:
        if isinstance(manifest, Manifest) and manifest.restores_proven:
            return copy, manifest
    return None


def _may_serve(found: Sequence[Found]) -> bool:
    """Whether a recovery may use one of the copies: one that failed its restore test is its last choice."""
    readable = (manifest for _, manifest in found if isinstance(manifest, Manifest))
    return any(one.kind in WITH_INVENTORY and one.verdict is not Verdict.FAILED for one in readable)


def _newest(stock: Stock) -> dict[str, Manifest]:
    """For each manager the manifest of the copy that a recovery would take, or else of the newest readable one."""
    newest: dict[str, Manifest] = {}
    for name, found in stock.copies.items():
        readable = [manifest for _, manifest in found if isinstance(manifest, Manifest)]
        if chosen := newest_proven(found):
            newest[name] = chosen[1]
        elif readable:
            newest[name] = readable[0]
    return newest


def of_identity(settings: Settings, stock: Stock) -> Condition:
    """Whether an identity here opens the copies. A missing identity and a wrong one are different faults."""
    opener, name = stock.identity, IDENTITY
    key = f"requorum:{opener.setting}"
    sealed = {name: manifest.recipients for name, manifest in _newest(stock).items()}
    recipients = tuple(dict.fromkeys(one for many in sealed.values() for one in many)) or settings.backup.recipients
    whose = ", ".join(recipients)
    if opener.fault:
        remedy = f"set {key} to the file with the identity of {whose}, on this machine"
        why = f"{opener.fault}, so nothing here opens a copy"
        return Condition(name, State.FAILED, why, "", "no identity here", remedy, grave=True, here=True)
    closed = [manager for manager, whom in sealed.items() if not opener.public.intersection(whom)]
    wrong = f"set {key} to the identity of {whose}. If nobody has it: correct requorum:backup.recipients, then {BACKUP}"
    if closed:
        named = ", ".join(closed) if len(closed) <= SHOWN else f"{len(closed)} managers"
        why = f"{opener.file} does not open the newest copy of {named}, which is sealed to {whose}"
        return Condition(name, State.FAILED, why, "", "copies not opened here", wrong, grave=True, here=True)
    if stock.error:
        remedy = stock.error.remedy
        return Condition(
            name, State.UNKNOWN, "S3 cannot be read, so no copy can be opened", "", "copies unknown", remedy, here=True
        )
    if not sealed and not opener.public.intersection(settings.backup.recipients):
        why = f"{opener.file} opens nothing that is sealed to {whose}"
        return Condition(name, State.FAILED, why, "", "wrong identity", wrong, grave=True, here=True)
    what = "the newest copy of every manager that has one" if sealed else "what is sealed to requorum:backup.recipients"
    return Condition(name, State.OK, f"{opener.file} opens {what}", here=True)


def _unlock_keys(settings: Settings, survey: Survey, stock: Stock) -> Condition:
    """Whether the unlock keys that the copies need are in escrow, and an identity here opens them."""
    name = "unlock keys"
    locked = {manager: one for manager, one in _newest(stock).items() if one.autolock}
    if not (locked or settings.swarm.autolock or _is_autolocked(survey)):
        return Condition(name, State.OK, "the swarm is not autolocked")
    if not settings.escrow.recipients:
        why = "the swarm is autolocked, and requorum:escrow.recipients is not set"
        remedy = f"set requorum:escrow.recipients, then: {BACKUP}"
        return Condition(name, State.FAILED, why, "", "no unlock key in escrow", remedy, grave=True)
    if stock.error:
        return Condition(name, State.UNKNOWN, "S3 cannot be read", "", "copies unknown", stock.error.remedy)
    absent = [manager for manager, one in locked.items() if one.key_fingerprint not in stock.keys]
    if absent:
        why = f"the unlock key of the newest copy of {', '.join(absent)} is not in escrow"
        return Condition(name, State.FAILED, why, "", "no unlock key in escrow", BACKUP, grave=True)
    key = f"requorum:{stock.escrow.setting}"
    remedy = f"set {key} to the file with the identity of {', '.join(settings.escrow.recipients)}, on this machine"
    if stock.escrow.fault:
        why = f"{stock.escrow.fault}, so nothing here opens an unlock key"
        return Condition(name, State.FAILED, why, "", "no identity here", remedy, grave=True, here=True)
    closed = [manager for manager, one in locked.items() if not stock.keys[str(one.key_fingerprint)]]
    if closed:
        why = f"{stock.escrow.file} does not open the unlock key of the newest copy of {', '.join(closed)}"
        return Condition(name, State.FAILED, why, "", "unlock keys not opened here", remedy, grave=True, here=True)
    return Condition(name, State.OK, "the keys of the newest copies are in escrow, and an identity here opens them")


def _is_autolocked(survey: Survey) -> bool:
    """Whether the leader says that its managers wait for an unlock key when they start."""
    facts = survey.leader.swarm if survey.leader else None
    return bool(facts and (restored(facts.spec).get("EncryptionConfig") or {}).get("AutoLockManagers"))


def _sites(settings: Settings, stock: Stock) -> Iterator[Condition]:
    """A condition for each site: it answers, and has the newest proven copy of every manager."""
    for site, bucket in zip(("main", "second"), settings.backup.sites, strict=False):
        name, short = f"{site} site", f"{site} site down"
        lacks = [manager for manager, copy in stock.proven.items() if site not in copy.sites]
        if stock.error:
            why = f"{bucket.where} cannot be read: {stock.error.why}"
            yield Condition(name, State.UNKNOWN, why, "", "copies unknown", stock.error.remedy)
        elif site in stock.skipped:
            remedy = f"start {bucket.where}, or correct requorum:backup{'' if site == 'main' else '.second'}"
            yield Condition(name, State.FAILED, f"it is skipped: {stock.skipped[site]}", "", short, remedy)
        elif lacks:
            why = f"it lacks the newest proven copy of {', '.join(lacks)}"
            yield Condition(name, State.FAILED, why, "", f"copies missing at {site} site", BACKUP)
        else:
            yield Condition(
                name, State.OK, f"{bucket.where} has the newest proven copies" if stock.proven else bucket.where
            )


def _agents(settings: Settings, agents: Agents) -> Condition:
    """Whether every agent runs and stores its copies."""
    name = "agents"
    if settings.agent is None:
        return Condition(name, State.OK, "requorum:agent is not set")
    faults = {manager: fault for manager, fault in agents.items() if fault}
    known = {manager: fault for manager, fault in faults.items() if fault.known}
    if not faults:
        return Condition(name, State.OK, f"all {len(agents)} run, and have stored their copies")
    first = next(iter((known or faults).values()))
    why = "; ".join(f"{manager}: {fault.why}" for manager, fault in list((known or faults).items())[:SHOWN])
    if not known:
        return Condition(name, State.UNKNOWN, why, "", "agents unknown", first.remedy)
    short = "all agents fail" if len(known) == len(agents) else f"agent of {', '.join(known)} fails"
    return Condition(name, State.FAILED, why, "", short, first.remedy)


def _drills(settings: Settings, stock: Stock, now: datetime) -> Condition:
    """Whether each manager's last drill is young enough, and succeeded. A first drill is due when its first copy is that old."""
    limit = settings.backup.limits.drill_age
    name, words = "drill", f"at most {span(limit)} ago"
    if stock.error:
        return Condition(name, State.UNKNOWN, "S3 cannot be read", words, "copies unknown", stock.error.remedy)
    last = {node.name: stock.drills.get(node.name) for node in settings.managers}
    for manager, proof in last.items():
        if proof and proof.verdict is not Verdict.PROVEN:
            why = f"the last drill of {manager} ended as {proof.verdict}: {proof.detail}"
            return Condition(name, State.FAILED, why, words, "drill failed", f"{BACKUP}, then: {DRILL}")
    late = {m: now - proof.at for m, proof in last.items() if proof and now - proof.at > limit}
    if late:
        why = f"the last drill of {', '.join(late)} was {span(max(late.values()))} ago"
        return Condition(name, State.FAILED, why, words, "drill overdue", DRILL)
    never = [m for m, proof in last.items() if proof is None]
    due = [m for m in never if m in stock.first and now - stock.first[m] > limit]
    if due:
        why = f"no copy of {', '.join(due)} was ever drilled"
        return Condition(name, State.FAILED, why, words, "never drilled", DRILL)
    if never:
        have = "has" if len(never) == 1 else "have"
        return Condition(name, State.OK, f"not due yet for {', '.join(never)}, which {have} no copy of that age", words)
    oldest = max(now - proof.at for proof in last.values() if proof)
    return Condition(name, State.OK, f"every manager, {span(oldest)} ago", words)
