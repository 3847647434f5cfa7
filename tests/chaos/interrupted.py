"""Kills recoveries at each of their steps on real engines, and runs them again."""

from collections.abc import Iterator

import recovery.cluster
from recovery.operations.assess import assess
from recovery.planning.plan import Plan
from recovery.planning.steps import Action
from recovery.settings import Settings
from tests.chaos.cluster import Cluster
from tests.chaos.oracle import Ending
from tests.chaos.trial import Outcome, Result, Trial
from tests.lab.killed import recovery_killed_at

START = {
    True: ("restoring", "forcing a new cluster", "quorum back"),
    False: ("taking a safety copy", "forcing a new cluster", "quorum back"),
}
"""The progress lines at the start of each step: for the loss of all managers, and with a survivor."""
JOIN = "join "
"""The prefix of a point for the join of a manager. Its number is the manager's position in the plan."""


def points(managers: tuple[str, ...], lost: tuple[str, ...]) -> Iterator[str]:
    """The points at which a recovery of this loss is killed. Every step has a point."""
    everything = set(lost) == set(managers)
    yield from START[everything]
    yield from (f"{JOIN}{number}" for number in range(1, len(lost) - everything + 1))
    yield "copying"


def line(point: str, plan: Plan) -> str:
    """The start of the progress line of a plan's recovery at a point."""
    if not point.startswith(JOIN):
        return point
    joining = [step.node for step in plan.steps if step.action is Action.JOIN]
    return f"{joining[int(point.removeprefix(JOIN)) - 1]} joins"


class Interrupted(Trial):
    """Trials whose recovery is killed at a point, and then run again from the start."""

    def __init__(self, cluster: Cluster, point: str = "") -> None:
        super().__init__(cluster)
        self.point = point
        self.killed = False

    def _recover(self, settings: Settings, result: Result) -> Outcome:
        first = assess(recovery.cluster.Cluster(settings))
        said = line(self.point, first.plan)
        self.killed = recovery_killed_at(settings, said)
        if not self.killed:
            result.faults.append(f"the recovery never said {said!r}")
        outcome = super()._recover(settings, result)
        if outcome.ending is Ending.REFUSED:
            return outcome
        return Outcome(Ending.RESTORED if first.plan.copy else Ending.FORCED, first.plan.survivor or "")
