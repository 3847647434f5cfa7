"""Runs one case on a real cluster: the loss, the recovery and the checks."""

import time
from dataclasses import dataclass, field, replace

import recovery.cluster
from recovery.errors import Refused
from recovery.operations import lifecycle
from recovery.operations.assess import assess
from recovery.operations.backup import backup
from recovery.operations.recover import recover_all
from recovery.settings import Settings
from tests.chaos import witness
from tests.chaos.cluster import Cluster
from tests.chaos.copies import Objects, manifests, pruned
from tests.chaos.oracle import Case, Ending, Expected, Remedy, expected
from tests.chaos.witness import Picture

LOOKS_SECONDS, LOOKS_PAUSE = 30.0, 0.5
"""How long to watch temporary faults, and the seconds between two checks."""
STANDS_SECONDS = 5.0
"""The longest time that temporary faults may last after a proof.

Raft notices within 2 s that a message is late (swarmkit, manager/state/raft: SendTimeout). It sends the next message a
second later, which may be late too. The proof should notice a fault that lasts longer.
"""


@dataclass
class Result:
    """The result of a case. Without faults, the case ended as it must."""

    case: Case
    ending: Ending | None = None
    source: str = ""
    """The survivor that was forced, or the manager whose copy was restored."""
    refused_first: bool = False
    led: bool = False
    """Whether the leader was lost."""
    seconds: float = 0.0
    """The seconds from running machines to the proof. With a remedy, the seconds from the remedy."""
    whole: float = 0.0
    """The seconds of the whole case, with the loss and the checks."""
    stood_after: float = 0.0
    """The seconds from the recovery's end to the first check without temporary faults.

    Without such a check, to the last check.
    """
    engines: tuple[str, ...] = ()
    second_swarms: int = 0
    changed_workers: int = 0
    faults: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """The plan, and the progress with the seconds since the machines were up."""


@dataclass(frozen=True)
class Outcome:
    """The result of one attempt to recover."""

    ending: Ending
    source: str = ""
    refusal: str = ""


class Trial:
    """Runs cases one after the other on one cluster. Each case leaves a healthy cluster for the next."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._before: Picture | None = None

    def run(self, case: Case) -> Result:
        """Run one case. After a fault, the next case gets a new cluster."""
        begun = time.monotonic()
        result = Result(case)
        try:
            if self._before is None:
                self.cluster.build(result.said.append)
                self._before = self.cluster.look()
                begun = time.monotonic()
            self._before = self._run(case, self._before, result)
        except Exception as error:  # any failure is a fault of this case, and must not affect the next
            result.faults.append(f"{type(error).__name__}: {error}")
        if result.faults:
            result.said += self.cluster.engine_logs()
            self._before = None
        result.whole = time.monotonic() - begun
        return result

    def _run(self, case: Case, before: Picture, result: Result) -> Picture:
        wanted, cluster = expected(case), self.cluster
        result.engines = tuple(sorted({view.engine for view in before.views.values()}))
        result.led = any(entry.leader and entry.name in case.lost for entry in before.views[case.managers[0]].entries)
        marks = {False: before.mark, True: f"{time.time():.6f}"}
        good = self._copy(marks[True])
        cluster.lose(case.lost)
        cluster.make(case.lost)
        spoilt: Objects = cluster.bucket.spoil(good, case.copies, case.managers, cluster.foreign)
        settings = cluster.settings
        lost = cluster.look(seconds=witness.HASTY) if wanted.remedy else before
        start = time.monotonic()
        outcome = self._recover(settings, result)
        if wanted.remedy:
            result.faults += _not_refused(wanted, outcome)
            after_refusal = cluster.look(seconds=witness.HASTY)
            result.faults += witness.touched(lost, after_refusal) + self._changed(spoilt)
            self._count(result, before, after_refusal)
            result.refused_first = not result.faults
            settings, spoilt = self._remedied(wanted.remedy, settings, spoilt, good)
            start = time.monotonic()
            outcome = self._recover(settings, result)
        result.seconds = time.monotonic() - start
        result.ending, result.source = outcome.ending, outcome.source
        after = self._judge(result, wanted, outcome, before, marks)
        self._tidy(result, wanted, good, spoilt)
        return after

    def _copy(self, mark: str) -> Objects:
        """Make a change and copy it. S3 then has only these copies and the ones before."""
        cluster = self.cluster
        cluster.mark(mark)
        failed = [
            outcome.error
            for outcome in backup(recovery.cluster.Cluster(cluster.settings), say=lambda _: None)
            if outcome.error
        ]
        if failed:
            raise failed[0]
        return cluster.bucket.read()

    def _recover(self, settings: Settings, result: Result) -> Outcome:
        """Recover as `requorum recover --yes` does."""
        start = time.monotonic()

        def say(line: str) -> None:
            result.said.append(f"{time.monotonic() - start:.1f} s: {line}")

        try:
            first = assess(recovery.cluster.Cluster(settings))
            assessment = replace(first, plan=first.plan.agreed())
            assessment.require_safe(settings)
        except Refused as error:
            return Outcome(Ending.REFUSED, refusal=str(error))
        plan = assessment.plan
        result.said += plan.lines
        say("the plan is made")
        if not plan.steps and not lifecycle.unproven(recovery.cluster.Cluster(settings), say=say):
            return Outcome(Ending.NOTHING)
        recover_all(recovery.cluster.Cluster(settings), assessment, say=say)
        if plan.survivor:
            return Outcome(Ending.FORCED, plan.survivor)
        if plan.copy:
            return Outcome(Ending.RESTORED, _source(plan.copy, self.cluster.managers))
        return Outcome(Ending.REJOINED)

    def _remedied(self, remedy: Remedy, settings: Settings, spoilt: Objects, good: Objects) -> tuple[Settings, Objects]:
        match remedy:
            case Remedy.COPIES_BACK:
                self.cluster.bucket.become(spoilt, good)
                return settings, good

    def _changed(self, spoilt: Objects) -> list[str]:
        """Describe what a refusal changed in the copies."""
        return [] if sorted(spoilt) == sorted(self.cluster.bucket.keys()) else ["a refusal changed the objects in S3"]

    def _count(self, result: Result, before: Picture, after: Picture) -> None:
        second, changed = witness.second_swarms(before, after), witness.changed_containers(before, after)
        result.second_swarms += len(second)
        result.changed_workers += len(changed)
        result.faults += second + changed

    def _judge(
        self,
        result: Result,
        wanted: Expected,
        outcome: Outcome,
        before: Picture,
        marks: dict[bool, str],
    ) -> Picture:
        """Check the nodes at the end, and record faults. Returns their answers."""
        case = result.case
        after, faults, result.stood_after = self._seen(case, wanted, before, marks)
        if outcome.ending is not wanted.ending:
            result.faults.append(f"{outcome.ending} and not {wanted.ending}: {outcome.refusal}")
        if outcome.ending is Ending.FORCED and outcome.source not in case.survivors:
            result.faults.append(f"forced from {outcome.source}, which was lost")
        if not faults and result.stood_after > STANDS_SECONDS:
            faults = [f"the cluster stood only {result.stood_after:.0f} s after the recovery had ended"]
        self._count(result, before, after)
        result.faults += faults
        return after

    def _seen(
        self, case: Case, wanted: Expected, before: Picture, marks: dict[bool, str]
    ) -> tuple[Picture, list[str], float]:
        """Ask the nodes. Returns their answers, the faults, and the time. Asks again while faults may be temporary."""
        begun = time.monotonic()
        while True:
            asked = time.monotonic() - begun
            after = self.cluster.look()
            faults = witness.recovered(case, wanted, before, after, marks)
            if not witness.passes(faults) or asked > LOOKS_SECONDS:
                return after, faults, asked
            time.sleep(LOOKS_PAUSE)

    def _tidy(self, result: Result, wanted: Expected, good: Objects, spoilt: Objects) -> None:
        """Check the copies that the recovery took, then keep only the newest good copy of each manager."""
        bucket, managers = self.cluster.bucket, self.cluster.managers
        now = bucket.read()
        fresh = manifests({key: now[key] for key in now.keys() - spoilt.keys()})
        if wanted.ending is not Ending.NOTHING:
            hot = {text["manager"] for text in fresh.values() if text["kind"] == "hot"}
            result.faults += [f"no fresh copy of {name}" for name in managers if name not in hot]
        unproven = [text for text in fresh.values() if text["kind"] == "hot" and text["proof"]["verdict"] != "proven"]
        result.faults += [f"the fresh copy of {text['manager']}: {text['proof']}" for text in unproven]
        safe = {text["manager"] for text in fresh.values() if text["kind"] == "safety"}
        result.faults += [f"no safety copy of {name}" for name in wanted.safety_copies - safe]
        whole = {**good, **{key: now[key] for key in now.keys() - spoilt.keys()}}
        bucket.become(now, pruned(whole, managers))


def _not_refused(wanted: Expected, outcome: Outcome) -> list[str]:
    if outcome.ending is not Ending.REFUSED:
        return [f"{outcome.ending} where it must be refused: {wanted.why}"]
    return [] if wanted.refusal in outcome.refusal else [f"refused in other words: {outcome.refusal}"]


def _source(copy: str, managers: tuple[str, ...]) -> str:
    """The manager in a copy's name."""
    return next(name for name in managers if f"-{name}-" in copy)
