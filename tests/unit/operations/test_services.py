"""The wait for services: it tells each step, ends when all is as defined, and fails when the swarm goes no further."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from recovery.errors import ProofFailed
from recovery.node.engine import Engine
from recovery.operations import services
from recovery.swarm.workload import Service, Task

WEB = Service("s1", "web", 2, update="updating", begun="t1", definition="new")
REMEDY = "look at SERVICE"


def tasks(new: int) -> tuple[Task, ...]:
    return tuple(
        Task("s1", f"n{number}", True, number, definition="new" if number <= new else "old") for number in (1, 2)
    )


@dataclass
class Answers:
    """An engine that answers the looks in turn, and the last one for ever."""

    looks: Sequence[tuple[Service | None, int]]
    at: int = field(default=-1)

    def services(self) -> tuple[Service, ...]:
        self.at = min(self.at + 1, len(self.looks) - 1)
        service = self.looks[self.at][0]
        return (service,) if service else ()

    def tasks(self) -> tuple[Task, ...]:
        return tasks(self.looks[self.at][1])

    def last_fault(self, _service_id: str) -> str:
        return "No such image: web:3"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "PAUSE", 0)


def settled(*looks: tuple[Service | None, int], known: str = "") -> list[str]:
    said: list[str] = []
    engine = cast(Engine, Answers(looks))
    services.settle(engine, {"web": "s1"}, known={"web": known}, remedy=REMEDY, say=said.append)
    return said


def test_each_step_is_told_once() -> None:
    done = replace(WEB, update="completed")
    assert settled((WEB, 0), (WEB, 0), (WEB, 1), (done, 2)) == [
        "web: 0 of 2 tasks run as defined",
        "web: 1 of 2 tasks run as defined",
        "web: 2 of 2 tasks run as defined",
    ]


def test_an_updater_that_has_not_begun_is_awaited() -> None:
    """Right after the change, the swarm may have begun nothing: what looks settled must look so twice."""
    earlier, done = replace(WEB, update="completed"), replace(WEB, update="completed")
    assert settled((earlier, 2), (WEB, 1), (done, 2))[1] == "web: 1 of 2 tasks run as defined"


@pytest.mark.parametrize(
    ("state", "why"), [("paused", "paused its update with 1 of 2"), ("rollback_paused", "rollback"), ("rollback_completed", "rolled")]
)  # fmt: skip
def test_a_swarm_that_goes_no_further_is_a_failure_with_one_command(state: str, why: str) -> None:
    with pytest.raises(ProofFailed) as caught:
        settled((WEB, 0), (replace(WEB, update=state), 1))
    assert why in caught.value.why
    assert "No such image: web:3" in caught.value.why
    assert (caught.value.remedy, caught.value.code) == ("look at web", "service-update-failed")


def test_a_rollback_of_an_earlier_run_is_no_failure() -> None:
    assert settled((replace(WEB, update="rollback_completed"), 2), known="t1")


def test_a_service_that_gets_no_further_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "SECONDS", 0.05)
    with pytest.raises(ProofFailed, match="1 of 2 tasks run as defined, and for"):
        settled((WEB, 1))


def test_a_service_that_the_swarm_does_not_have_is_created_by_the_next_update() -> None:
    with pytest.raises(ProofFailed) as caught:
        settled((None, 0))
    assert (caught.value.code, caught.value.remedy) == ("service-gone", "create it: pulumi up")
