"""Which managers were left behind by a forced new cluster."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from threading import Barrier

import pytest

from recovery.steps import force, journal, leave
from recovery.steps.force import _save
from recovery.steps.leave import dismiss
from recovery.swarm.model import LocalState, NodeReport, Survivor
from recovery.swarm.wal import Position
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import A, B, C, S, led

ALONE = replace(
    led(A),
    members=tuple(
        replace(member, manager_address="", reachable=False, ready=member.role == "worker")
        if member.hostname != "manager-a"
        else member
        for member in led(A).members
    ),
)
"""The leader right after a forced new cluster: every other manager's entry is there, without a vote."""
BACK = replace(ALONE, members=tuple(replace(member, ready=True) for member in ALONE.members))
"""The same a little later: those that threw their logs away follow it, as workers do."""
TO_BE = replace(BACK, members=tuple(replace(member, role="worker") for member in BACK.members))
"""They are workers that the settings are about to promote."""


@pytest.mark.parametrize(
    ("seen", "leader", "orphan"),
    [
        (make.leaderless(C), ALONE, True),
        (replace(make.leaderless(C), raft=False, state=LocalState.PENDING), ALONE, True),
        (replace(make.leaderless(C), raft=False), BACK, True),
        (replace(make.leaderless(C), raft=False), TO_BE, False),
        (make.leaderless(C), led(A), False),
        (led(C), led(A), False),
        (led(C), ALONE, True),
        (make.empty(C), ALONE, False),
        (replace(make.leaderless(C), cluster_id="other"), ALONE, False),
        (make.worker(S.workers[0]), ALONE, False),
    ],
    ids=[
        "has its log",
        "threw its log away",
        "threw its log away and is Ready again",
        "is yet to be promoted",
        "still votes",
        "is led and votes",
        "lists nodes through the new leader",
        "is in no swarm",
        "is another swarm's",
        "is a worker",
    ],
)
def test_orphans(seen: NodeReport, leader: NodeReport, orphan: bool) -> None:
    assert seen.is_left_behind(leader) is orphan


SECONDS = 10
"""For one survivor to be met by the other: none would be where they take turns."""


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """An effect on two survivors that ends only once it has begun on both; around it nothing is real."""
    barrier = Barrier(2)
    for module in (leave, force):
        monkeypatch.setattr(module, "Shell", lambda node, _: nullcontext(node))
    monkeypatch.setattr(leave, "ask", lambda *_, **__: ALONE)
    monkeypatch.setattr(journal, "step", lambda *_: nullcontext())
    return lambda *_: barrier.wait(SECONDS)


def test_survivors_leave_side_by_side(monkeypatch: pytest.MonkeyPatch, met: Callable[..., None]) -> None:
    monkeypatch.setattr(leave, "Engine", lambda _: type("", (), {"leave": met}))
    said: list[str] = []
    dismiss(S, make.survey([led(A), *map(make.leaderless, (B, C))]), A, say=said.append)
    assert sorted(line.partition(":")[0] for line in said) == [
        "manager-b leaves the old swarm state",
        "manager-c leaves the old swarm state",
    ]


def test_survivors_are_copied_side_by_side(monkeypatch: pytest.MonkeyPatch, met: Callable[..., None]) -> None:
    copied: list[str] = []
    monkeypatch.setattr(force, "take_safety", lambda *given: (met(), copied.append(given[-1].name)))
    _save(S, [Survivor(node.name, Position(1, 2, 2)) for node in (B, C)], lambda _: None)
    assert sorted(copied) == ["manager-b", "manager-c"]
