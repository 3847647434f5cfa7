"""Recoveries that are killed at each of their steps, on real engines, and run again."""

import multiprocessing
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection

from recovery.assessment import Assessment, assess
from recovery.execute import execute
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


def lines(managers: tuple[str, ...], lost: tuple[str, ...]) -> Iterator[str]:
    """The beginnings of the lines at which a recovery of that loss is killed: every step has one."""
    everything = set(lost) == set(managers)
    yield from START[everything]
    chief = managers[0] if everything else next(name for name in managers if name not in lost)
    yield from (f"{name} joins" for name in managers if name in lost and name != chief)
    yield "copying"


class Interrupted(Trial):
    """Trials whose recovery is killed when it says a line, without a warning, and then run again from the start."""

    def __init__(self, cluster: Cluster, line: str = "") -> None:
        super().__init__(cluster)
        self.line = line
        self.killed = False

    def _recover(self, settings: Settings, result: Result) -> Outcome:
        first = assess(settings)
        self.killed = _killed_at(settings, self.line)
        if not self.killed:
            result.faults.append(f"the recovery never said {self.line!r}")
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
    seen: Assessment = assess(settings)
    execute(settings, replace(seen, plan=seen.plan.agreed()), say=there.send)
