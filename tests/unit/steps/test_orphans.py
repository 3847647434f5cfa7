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
DOWN = replace(TO_BE, members=tuple(replace(member, ready=False) for member in TO_BE.members))
"""Such workers while the leader does not hear them, as after a restart."""
MEMBER = replace(make.leaderless(C), raft=False)
WORKER, MANAGER = (replace(MEMBER, certified=role) for role in ("worker", "manager"))


@pytest.mark.parametrize(
    ("seen", "leader", "orphan"),
    [
        (make.leaderless(C), ALONE, True),
        (replace(make.leaderless(C), raft=False, state=LocalState.PENDING), ALONE, True),
        (replace(make.leaderless(C), raft=False), BACK, True),
        (replace(make.leaderless(C), raft=False), TO_BE, False),
        (MEMBER, DOWN, False),
        (WORKER, DOWN, False),
        (WORKER, ALONE, False),
        (WORKER, BACK, False),
        (MANAGER, ALONE, True),
        (MANAGER, BACK, True),
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
        "is yet to be promoted and Down",
        "is yet to be promoted and Down, as its certificate says",
        "was promoted while it was Down",
        "was promoted and has no vote yet",
        "threw its log away, as its certificate says",
        "threw its log away and is Ready again, as its certificate says",
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
