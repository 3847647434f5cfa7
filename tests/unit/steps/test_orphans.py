"""Which managers were left behind by a forced new cluster."""

from dataclasses import replace

import pytest

from recovery.swarm.model import LocalState, NodeReport
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import A, C, S, led

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
