"""What a watcher that no person started does about what it sees. It heals what needs no consent, and asks for the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from recovery.planning.diagnosis import NO_QUORUM, Kind
from recovery.planning.plan import Plan

HOUR = timedelta(hours=1)
LEFT_ALONE = frozenset({Kind.ABSENT, Kind.ACCESS, Kind.PARTITIONED})
"""What is no loss: the cluster does not exist yet, or only the way from here is cut."""


class Act(StrEnum):
    """What a watcher does."""

    NOTHING = "nothing"
    """Leaves the swarm alone, and an open issue as it is."""
    CLOSE = "close"
    """All is well: closes what it opened."""
    SAY = "say"
    """Opens or edits the issue."""
    HEAL = "heal"
    """Carries the plan out."""
    ASK = "ask"
    """Opens or edits the issue, and opens the request that consents to the plan when it is merged."""
    RECOVER = "recover"
    """Without a forge only: carries out the plan that an operator consented to in S3."""


TOLD = frozenset({Act.CLOSE, Act.SAY, Act.ASK})
"""What people hear of. It is told only if nobody is at work on the cluster: what is half done is no state to tell."""


@dataclass(frozen=True)
class Rules:
    """What the operator allows a watcher to do without a person."""

    heal: bool = False
    at_most: int = 3
    """How many times it begins to heal within an hour. A loss that comes back so often needs a person."""


@dataclass(frozen=True)
class Seen:
    """What a watcher bases its decision on."""

    kind: Kind
    plan: Plan
    well: bool
    """Whether nothing is wrong with the swarm."""
    silent: tuple[str, ...] = ()
    """The nodes that do not answer, and are not known to be lost."""
    faults: tuple[str, ...] = ()
    """The conditions of a recovery that failed."""
    begun: tuple[datetime, ...] = ()
    """When changes of the swarm were begun, as far as S3 still tells."""


@dataclass(frozen=True)
class Decision:
    """What to do, and why."""

    act: Act
    why: str


def decide(seen: Seen, rules: Rules, now: datetime) -> Decision:
    """What to do about a cluster at the time ``now``."""
    plan, refusal = seen.plan, seen.plan.refusal
    if plan.id and (refusal is None or refusal.consent):
        return Decision(Act.ASK, f"plan {plan.id} needs the consent of a person")
    if refusal and seen.kind not in LEFT_ALONE:
        return Decision(Act.SAY, refusal.why)
    if seen.kind in LEFT_ALONE:
        return Decision(Act.NOTHING, f"{seen.kind} is no loss")
    if plan.steps:
        return _heal(seen, rules, now)
    if seen.kind in NO_QUORUM:
        return Decision(Act.SAY, f"{seen.kind}, and there is no plan")
    if seen.silent:
        return Decision(Act.NOTHING, f"{_listed(seen.silent)} may be alive")
    if seen.faults:
        return Decision(Act.SAY, seen.faults[0])
    if seen.well:
        return Decision(Act.CLOSE, "all is well")
    return Decision(Act.SAY, "the swarm is degraded, and no plan repairs that")


def answered(decision: Decision, why_not: str) -> Decision:
    """The decision of a watcher that asks in S3. ``why_not`` is why no consent to the plan counts; empty if one does."""
    if decision.act is not Act.ASK:
        return decision
    return Decision(Act.ASK, why_not) if why_not else Decision(Act.RECOVER, "an operator consented to the plan")


def topic(seen: Seen, decision: Decision) -> str:
    """What a watcher tells people about. It tells them again when this changes, and not when only an age in a text does."""
    if decision.act is Act.ASK:
        return f"ask {seen.plan.id}: {decision.why}"
    code = seen.plan.refusal.code if seen.plan.refusal else ""
    nodes = sorted({step.node for step in seen.plan.steps})
    faults = [" ".join(fault.split(":")[0].split()) for fault in seen.faults]
    return " ".join((str(decision.act), str(seen.kind), code, *nodes, *faults))


def _heal(seen: Seen, rules: Rules, now: datetime) -> Decision:
    recent = sum(now - HOUR < begun <= now for begun in seen.begun)
    if not rules.heal:
        return Decision(Act.SAY, "healing is not switched on")
    if seen.silent:
        return Decision(Act.SAY, f"not healed while {_listed(seen.silent)} may be alive")
    if recent >= rules.at_most:
        return Decision(Act.SAY, f"{recent} changes were begun within an hour, and the limit is {rules.at_most}")
    return Decision(Act.HEAL, "the plan needs no consent")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
