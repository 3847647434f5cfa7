"""Whose vote may be taken, and when it is."""

from dataclasses import replace
from typing import Any

import pytest

from recovery import waiting
from recovery.cluster import Cluster
from recovery.planning import steps
from recovery.planning.record import NOTHING
from recovery.steps import demote, votes
from recovery.steps.run import Run
from recovery.swarm.entries import Member
from tests.unit import factories as make


def entry(members: tuple[Member, ...], name: str) -> Member:
    return next(member for member in members if member.hostname == name)


class Chief:
    """A leader that takes a vote at once."""

    def __init__(self, members: tuple[Member, ...]) -> None:
        self._members = {member.node_id: member for member in members}

    def members(self) -> tuple[Member, ...]:
        return tuple(self._members.values())

    def member(self, node_id: str) -> Member:
        return self._members[node_id]

    def update_member(self, node_id: str, *, role: str, **_: Any) -> None:
        address = self._members[node_id].manager_address if role == "manager" else ""
        self._members[node_id] = replace(self._members[node_id], role=role, manager_address=address)


def test_a_worker_that_stood_in_is_one_once_its_engine_has_given_up_managing_and_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = make.settings()
    node = of.workers[0]
    promoted = [replace(node, role="manager") if one == node else one for one in of.nodes]
    leader = make.manager(of.managers[0], promoted)
    of_manager = make.manager(node, promoted)
    says = [of_manager, replace(of_manager, raft=False), replace(of_manager, control=False), make.worker(node)]
    monkeypatch.setattr(votes, "ask", lambda _: says.pop(0))
    monkeypatch.setattr(waiting, "sleep", lambda _: None)
    monkeypatch.setattr(demote, "take_one", lambda *_: None)
    monkeypatch.setattr(demote, "Engine", lambda _: Chief(leader.members))
    monkeypatch.setattr(Run, "shell", lambda *_: object())
    monkeypatch.setattr(Run, "catalog", None)
    run = Run(Cluster(of), NOTHING, [].append)
    run.survey = make.survey([leader, of_manager])
    demote.demote_stand_in(run, steps.demote(node.name))
    assert says == []
