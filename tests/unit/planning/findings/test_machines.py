"""Machines and managers: each limit from both sides."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recovery.planning.findings import buckets
from recovery.planning.findings.finding import Finding, Weight
from recovery.planning.findings.managers import Tasks
from recovery.s3.bucket import Bucket
from recovery.s3.safety import Safety
from recovery.settings import parse
from recovery.swarm.evidence import MachineSeen, NodeSeen, ServiceSeen, SwarmSeen
from recovery.swarm.found import LEAST_LEFT, SwarmFacts, Validity
from recovery.swarm.model import Survey
from recovery.swarm.on_node import Chain, OnNode
from tests.unit import factories as make
from tests.unit.planning.findings.looks import HEALTHY, judged, look, named, only

GIB = 1 << 30
DAY = timedelta(days=1)
FINE = MachineSeen(8 * GIB, 4 * GIB, 0, 0, 0.0, GIB >> 2, GIB >> 4)


def surveyed(name: str, **changes: Any) -> Survey:
    """The healthy survey, in which one report is different."""
    reports = tuple(replace(one, **changes) if one.node.name == name else one for one in HEALTHY.reports)
    return replace(HEALTHY, reports=reports)


def machine(node: str = "manager-b", **changes: Any) -> list[str]:
    return named(look(node, machine=replace(FINE, **changes)))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, []),
        ({"available": GIB >> 1}, ["memory-low@manager-b"]),
        ({"pressure": 6.0}, ["memory-low@manager-b"]),
        ({"swapped": GIB}, []),
        ({"swapped": GIB, "pressure": 0.1}, ["memory-low@manager-b"]),
        ({"wal": 2 * GIB}, ["raft-large@manager-b:log"]),
        ({"snapshots": GIB}, ["raft-large@manager-b:snapshots"]),
    ],
)
def test_limits_of_a_manager(changes: dict[str, Any], names: list[str]) -> None:
    assert machine(**changes) == names


def test_a_worker_may_be_full_of_work() -> None:
    assert machine("worker-1", available=1, wal=9 * GIB) == []


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (90 * LEAST_LEFT * DAY + DAY, ""),
        (8 * DAY, "the certificate of its node ends in 192.0 hours"),
        (-DAY, "the certificate of its node has ended"),
    ],
)
def test_a_certificate_is_renewed_by_a_restart_that_asks_for_the_quorum(left: timedelta, told: str) -> None:
    valid = Validity(HEALTHY.taken + left - 90 * DAY, HEALTHY.taken + left)
    found = judged(survey=surveyed("manager-b", certificate=valid))
    assert [one.trouble for one in found] == ([told] if told else [])
    restarts = told and left > timedelta(0)
    assert any(one.proposals[0].own == ("restart", "manager-b") for one in found) is bool(restarts)


ENDED = Validity(HEALTHY.taken - 91 * DAY, HEALTHY.taken - DAY)


@pytest.mark.parametrize(
    ("name", "leads", "first", "refused"),
    [
        ("worker-1", True, "on worker-1: docker swarm leave --force, then: pulumi up", ""),
        (
            "manager-b",
            True,
            "on manager-a: docker node demote id-manager-b; on manager-b: docker swarm leave --force; "
            "on manager-b, as docker swarm join-token manager on manager-a shows: docker swarm join",
            "",
        ),
        ("worker-1", False, "on worker-1: docker swarm leave --force, then: pulumi up", "no-leader"),
        ("manager-b", False, "requorum plan", ""),
    ],
)
def test_a_certificate_that_has_ended_needs_another_join(name: str, leads: bool, first: str, refused: str) -> None:
    """An engine does not start its part of the swarm with it, and no manager renews it: after a restart, the node is out."""
    reports = (one if leads else replace(one, control=False, members=()) for one in HEALTHY.reports)
    survey = make.survey([replace(one, certificate=ENDED) if one.node.name == name else one for one in reports])
    (found,) = judged(survey=survey)
    assert (found.name, found.proposals[0].command) == (f"certificate-ends@{name}", first)
    assert found.proposals[0].code == refused
    assert not any("restart" in one.command for one in found.proposals)


def test_a_manager_that_the_quorum_needs_is_not_demoted_for_its_certificate() -> None:
    survey = surveyed("manager-b", certificate=ENDED)
    lame = replace(
        survey.reports[0], members=make.members(make.settings().nodes, leader="manager-a", unreachable=["manager-c"])
    )
    (found,) = judged(survey=replace(survey, reports=(lame, *survey.reports[1:])))
    assert found.proposals[0].code == "quorum-at-risk"


def test_a_long_log_under_rare_snapshots_is_shortened() -> None:
    facts = SwarmFacts({"Raft": {"SnapshotInterval": 100_000}})
    found = only(look("manager-b", machine=replace(FINE, wal=2 * GIB)), survey=surveyed("manager-a", swarm=facts))
    assert found.proposals[0].runs[0].text == "docker swarm update --snapshot-interval 10000"
    assert found.evidence == ("the swarm makes a snapshot every 100000 entries",)


GONE = OnNode(firewall=True, at_boot=True, ipv4=Chain.MISSING, ipv6=Chain.UNUSED)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (GONE, True),
        (replace(GONE, ipv4=Chain.LATE), True),
        (replace(GONE, ipv4=Chain.OK), False),
        (replace(GONE, ipv4=Chain.OK, at_boot=False), True),
        (replace(GONE, ipv4=Chain.BUSY), False),
        (replace(GONE, firewall=False), False),
    ],
    ids=["gone", "late", "in place", "not at boot", "busy", "never installed"],
)
def test_rules_that_are_gone_are_put_back(found: OnNode, told: bool) -> None:
    survey = surveyed("worker-1", on_node=found)
    assert named(survey=survey) == (["firewall-gone@worker-1"] if told else [])
    if told:
        runs = [run.text for run in judged(survey=survey)[0].proposals[0].runs]
        assert runs == ["systemctl enable requorum-firewall.service", "systemctl restart requorum-firewall.service"]


def test_engines_of_two_releases_are_told_as_advice() -> None:
    found = only(survey=surveyed("worker-1", engine="28.5.2"))
    assert (found.name, found.weight) == ("engines-apart@cluster", Weight.ADVICE)
    assert found.evidence[1] == "28.5: worker-1"
    assert named(survey=surveyed("worker-1", engine="20.10.5")) == []


def test_many_managers_are_told() -> None:
    many = make.settings(9)
    assert "managers-many@cluster" in named(of=many, survey=make.healthy(many))
    assert "managers-many@cluster" not in named(of=make.settings(7), survey=make.healthy(make.settings(7)))


WORKER = NodeSeen("id-worker-1", "worker-1", {"availability": "active", "state": "ready", "node.role": "worker"})
ON_MANAGERS = ("node.role==manager",)


def working(
    *constraints: str, availability: str = "active", node: str = "id-manager-a", **given: Any
) -> tuple[Finding, ...]:
    members = tuple(
        replace(one, availability=availability if one.node_id == "id-manager-a" else one.availability)
        for one in HEALTHY.reports[0].members
    )
    swarm = SwarmSeen((ServiceSeen("1", "web", 1, constraints, runs_on=(node,)),), (WORKER,))
    return judged(look("manager-a", swarm=swarm, **given), survey=surveyed("manager-a", members=members))


def test_a_manager_that_runs_tasks_is_told() -> None:
    (found,) = working()
    assert (found.name, found.fix) == ("manager-works@manager-a", found.proposals[0])
    assert working(availability="drain") == ()
    assert working(node="id-worker-1") == ()


def test_what_only_managers_run_stays_there() -> None:
    assert working(*ON_MANAGERS) == ()
    (found,) = working(*ON_MANAGERS, machine=replace(FINE, available=1))
    assert [one.command for one in found.proposals] == ["give manager-a more memory"]


def test_a_manager_is_not_drained_unasked_if_one_of_its_services_has_no_place_elsewhere() -> None:
    services = (ServiceSeen("1", "web", 1, runs_on=("x",)), ServiceSeen("2", "proxy", 1, ON_MANAGERS, runs_on=("x",)))
    tasks = Tasks.on("x", SwarmSeen(services, (WORKER,)))
    assert tasks == Tasks(("web",), ("proxy",))
    proposal = tasks.drained("x", "manager-a", "")
    assert "No worker takes proxy" in proposal.effect
    assert not proposal.able


def test_what_runs_on_every_node_is_not_moved_off_a_manager() -> None:
    """A task of a global service ends where its node is drained: no worker takes it."""
    agent = ServiceSeen("3", "agent", 0, runs_on=("x",), everywhere=True)
    tasks = Tasks.on("x", SwarmSeen((agent,), (WORKER,)))
    assert tasks == Tasks((), (), ("agent",))
    web = ServiceSeen("1", "web", 1, runs_on=("x",))
    proposal = Tasks.on("x", SwarmSeen((agent, web), (WORKER,))).drained("x", "manager-a", "")
    assert proposal.able
    assert "Of agent, which each node has, its task ends" in proposal.effect
    swarm = SwarmSeen((replace(agent, runs_on=("id-manager-a",)),), (WORKER,))
    members = tuple(replace(one, availability="active") for one in HEALTHY.reports[0].members)
    assert named(look("manager-a", swarm=swarm), survey=surveyed("manager-a", members=members)) == []


def test_two_managers_in_one_zone_beside_a_zone_without_one() -> None:
    managers = [{"name": f"m{n}", "address": f"10.77.{n}.1", "zone": zone} for n, zone in enumerate(("a", "a", "b"), 1)]
    workers = [{"name": "w1", "address": "10.77.9.1", "zone": "c"}]
    of = parse(make.raw(managers=managers, workers=workers, clusterId=make.CLUSTER, zones=["a", "b", "c"]))
    (found,) = (one for one in judged(of=of, survey=make.healthy(of)) if one.kind == "one-zone")
    assert found.trouble == "m1 and m2 are in zone a, and zone c has no manager"
    assert found.evidence == of.weaknesses
    assert found.weight is Weight.ADVICE


@pytest.mark.parametrize(
    ("versioned", "locked", "told"),
    [(False, False, True), (True, False, False), (False, True, False), (None, False, False)],
    ids=["neither", "versioning", "a lock", "not known"],
)
def test_a_bucket_that_keeps_nothing_is_told(versioned: bool | None, locked: bool, told: bool) -> None:
    found = tuple(
        buckets.judge(
            (Safety("main", Bucket("copies", "", "http://s3", lock="governance" if locked else None), versioned),)
        )
    )
    assert [one.name for one in found] == (["bucket-unsafe@main-site"] if told else [])
    if told:
        assert found[0].weight is Weight.ADVICE
        assert "--bucket copies --endpoint-url http://s3 " in found[0].proposals[0].command
