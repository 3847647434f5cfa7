"""Recoveries that are killed at each of their steps, on real engines, and run again."""

import multiprocessing
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection

import recovery.cluster
from recovery.operations.assess import Assessment, assess
from recovery.operations.recover import recover_all
from recovery.planning.plan import Plan
from recovery.planning.steps import Action
from recovery.settings import Settings
from tests.chaos.cluster import Cluster
from tests.chaos.oracle import Ending
from tests.chaos.trial import Outcome, Result, Trial

SECONDS = 120.0
START = {
    True: ("restoring", "forcing a new cluster", "quorum back"),
    False: ("taking a safety copy", "forcing a new cluster", "quorum back"),
}
"""What a recovery says as it begins its steps: of all managers, and from a survivor."""
JOIN = "join "
"""Before the number of a manager that joins: which one that is, the plan tells."""


def points(managers: tuple[str, ...], lost: tuple[str, ...]) -> Iterator[str]:
    """Where a recovery of that loss is killed: every step has a point."""
    everything = set(lost) == set(managers)
    yield from START[everything]
    yield from (f"{JOIN}{number}" for number in range(1, len(lost) - everything + 1))
    yield "copying"


def line(point: str, plan: Plan) -> str:
    """The beginning of what a recovery by that plan says at a point."""
    if not point.startswith(JOIN):
        return point
    joining = [step.node for step in plan.steps if step.action is Action.JOIN]
    return f"{joining[int(point.removeprefix(JOIN)) - 1]} joins"


class Interrupted(Trial):
    """Trials whose recovery is killed at a point, without a warning, and then run again from the start."""

    def __init__(self, cluster: Cluster, point: str = "") -> None:
        super().__init__(cluster)
        self.point = point
        self.killed = False

    def _recover(self, settings: Settings, result: Result) -> Outcome:
        first = assess(recovery.cluster.Cluster(settings))
        said = line(self.point, first.plan)
        self.killed = _killed_at(settings, said)
        if not self.killed:
            result.faults.append(f"the recovery never said {said!r}")
        outcome = super()._recover(settings, result)
        if outcome.ending is Ending.REFUSED:
            return outcome
        return Outcome(Ending.RESTORED if first.plan.copy else Ending.FORCED, first.plan.survivor or "")


def _killed_at(settings: Settings, line: str) -> bool:
    """Recover in a process of its own, and kill it when it says the line; whether it did."""
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(target=_recover, args=(settings, there))
    child.start()
    there.close()
    said = False
    with suppress(EOFError):
        while not said and here.poll(SECONDS):
            said = str(here.recv()).startswith(line)
    child.kill()
    child.join()
    return said


def _recover(settings: Settings, there: Connection) -> None:
    """What `requorum recover --yes` does."""
    seen: Assessment = assess(recovery.cluster.Cluster(settings))
    recover_all(settings, replace(seen, plan=seen.plan.agreed()), say=there.send)
