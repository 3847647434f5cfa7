"""Clocks, ports and packets: what is sure is told, and what is not sure is not."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.planning.findings import all as findings
from recovery.planning.findings.clocks import LIMIT_SECONDS, bounds
from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy
from recovery.settings import parse
from recovery.swarm.evidence import Evidence, Heard, Looked, MachineSeen, Ports, SwarmSeen, Untaken
from recovery.swarm.found import SwarmFacts
from recovery.swarm.limits import REFUSED
from recovery.swarm.model import LocalState, NodeReport, Reach, Survey
from tests.unit import factories as make
from tests.unit.planning.findings.looks import AT, HEALTHY, NAMES, S, look, named, only

OVERLAY, GOSSIP = 4789, 7946


def clock(name: str, ahead: float, *, early: float = 0.5, late: float = 0.5, **machine: Any) -> Evidence:
    """A look at a node whose clock is ahead, begun and ended some seconds after and before ours."""
    told = Looked(AT + early + ahead, AT + 6 - late + ahead, machine=MachineSeen(8 << 30, 4 << 30, 0, 0, **machine))
    return Evidence(name, AT, AT + 6, told)


@given(st.floats(-1e6, 1e6), st.floats(0, 2), st.floats(0, 2))
def test_the_difference_of_a_clock_is_within_its_bounds(ahead: float, early: float, late: float) -> None:
    low, high = bounds(clock("a", ahead, early=early, late=late))
    assert low - 1e-3 <= ahead <= high + 1e-3


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (0.0, ""),
        (4.0, ""),
        (60.0, "its clock is 60 s ahead of most others"),
        (-60.0, "its clock is 60 s behind most others"),
    ],
)
def test_a_clock_that_is_surely_apart_is_told(ahead: float, told: str) -> None:
    looks = [clock(name, ahead if name == "worker-1" else 0.0) for name in NAMES]
    if not told:
        assert named(*looks) == []
        return
    found = only(*looks)
    assert (found.name, found.trouble) == ("clock-apart@worker-1", told)
    assert found.fix is None


@pytest.mark.parametrize(
    ("unit", "command"),
    [
        ("chrony.service", "chronyc makestep"),
        ("systemd-timesyncd.service", "systemctl restart -- systemd-timesyncd.service"),
    ],
)
def test_a_clock_is_set_by_the_unit_that_keeps_it(unit: str, command: str) -> None:
    looks = [clock(name, 60.0 if name == "worker-1" else 0.0, clock_unit=unit) for name in NAMES]
    assert only(*looks).proposals[0].runs[0].text == command


def test_the_clock_of_this_machine_is_told_if_all_nodes_disagree_with_it() -> None:
    found = only(*(clock(name, LIMIT_SECONDS * 10) for name in NAMES))
    assert found.name == "clock-apart@this-machine"
    assert "50 s behind" in found.trouble


def open_ports(name: str, **given: Any) -> Ports:
    """What a node hears where everything passes."""
    others = [one for one in NAMES if one != name]
    heard = tuple(
        Heard(one, port, large)
        for one in others
        for port, large in ((GOSSIP, False), (OVERLAY, False), (OVERLAY, True))
    )
    told = {"heard": heard, "device": "eth0", "mtu": 1500, "large": 1500, **given}
    return Ports(AT + 1, AT + 5, **told)


def network(**ports: Ports) -> tuple[Evidence, ...]:
    given = {name.replace("_", "-"): one for name, one in ports.items()}
    return tuple(look(name, ports=given.get(name, open_ports(name))) for name in NAMES)


def without(name: str, *lost: tuple[str, int, bool], **given: Any) -> Ports:
    kept = open_ports(name)
    heard = tuple(one for one in kept.heard if (one.peer, one.port, one.large) not in lost)
    return replace(kept, heard=heard, **given)


def test_ports_that_pass_are_nothing() -> None:
    assert named(*network()) == []


def test_a_udp_port_that_a_rule_closes_is_told_with_the_rule_and_opened() -> None:
    lost = [(name, OVERLAY, large) for name in NAMES for large in (True, False)]
    rules = ("-A INPUT -p udp -m udp --dport 4789 -j DROP", "-A INPUT -p tcp -m tcp --dport 7946 -j DROP")
    found = only(*network(manager_b=without("manager-b", *lost, rules=rules)))
    assert found.name == "port-closed@manager-b:4789/udp"
    assert found.trouble == "4789/udp of manager-b does not pass from 4 other nodes"
    assert found.evidence[-1] == f"its firewall has the rule {rules[0]}"
    assert [run.text for run in found.proposals[0].runs] == [
        "iptables -w 5 -D INPUT -p udp -m udp --dport 4789 -j DROP"
    ]


def test_each_direction_is_told_by_itself() -> None:
    found = only(*network(worker_1=without("worker-1", ("worker-2", GOSSIP, False))))
    assert found.name == "port-closed@worker-1:7946/udp"
    assert found.evidence == ("from worker-2: no packet arrives",)
    assert found.fix is None


@pytest.mark.parametrize(
    ("untaken", "names"),
    [
        (Untaken("manager-b", 2377, "timed out"), ["port-closed@manager-b:2377/tcp"]),
        (Untaken("manager-b", 7946, "Connection refused"), ["port-closed@manager-b:7946/tcp"]),
        (Untaken("worker-2", 2377, "Connection refused"), []),
        (Untaken("manager-b", 22, "Connection refused"), []),
    ],
)
def test_a_tcp_port_that_takes_no_connection_is_told(untaken: Untaken, names: list[str]) -> None:
    assert named(*network(worker_1=open_ports("worker-1", untaken=(untaken,)))) == names


def with_report(name: str, **changes: Any) -> Survey:
    """The healthy survey, in which one report is different."""
    reports = tuple(replace(one, **changes) if one.node.name == name else one for one in HEALTHY.reports)
    return replace(HEALTHY, reports=reports)


REJECT = "-A INPUT -p tcp -m tcp --dport 2377 -j REJECT --reject-with icmp-port-unreachable"
DROP_IT = "-A INPUT -s 192.0.2.0/24 -p tcp -m tcp --dport 2377 -j DROP"
INACTIVE = (LocalState.ERROR, LocalState.LOCKED, LocalState.PENDING)


@pytest.mark.parametrize(
    ("state", "why", "rules", "told"),
    [
        *((state, REFUSED, (), False) for state in INACTIVE),
        (LocalState.ACTIVE, REFUSED, (), True),
        (LocalState.ACTIVE, REFUSED, (REJECT,), True),
        *((state, REFUSED, (REJECT,), True) for state in INACTIVE),
        (LocalState.ERROR, REFUSED, (DROP_IT,), False),
        *((state, "timed out", (), True) for state in INACTIVE),
        (LocalState.PENDING, "No route to host", (), True),
    ],
)
def test_a_port_at_which_an_engine_does_not_listen_is_not_closed(
    state: LocalState, why: str, rules: tuple[str, ...], told: bool
) -> None:
    """An engine out of the swarm refuses every connection. A rule of its firewall may refuse too, and be the cause."""
    untaken = tuple(Untaken("manager-b", port, why) for port in (2377, 7946))
    others = {name.replace("-", "_"): open_ports(name, untaken=untaken) for name in NAMES if name != "manager-b"}
    looks = network(**others, manager_b=open_ports("manager-b", rules=rules))
    found = named(*looks, survey=with_report("manager-b", state=state))
    assert ("port-closed@manager-b:2377/tcp" in found) is told
    assert ("port-closed@manager-b:7946/tcp" in found) is (told and (state is LocalState.ACTIVE or why != REFUSED))


@pytest.mark.parametrize(
    ("report", "names"),
    [
        (make.damaged, []),
        (make.full, []),
        (make.halted, []),
        (lambda node: NodeReport(node, Reach.NO_ENGINE, raft=True), []),
        (make.leaderless, ["port-closed@manager-b:2377/tcp", "port-closed@manager-b:7946/tcp"]),
    ],
    ids=["damaged", "full", "halted", "engine down", "no leader"],
)
def test_a_manager_that_is_found_unhealthy_gets_no_finding_of_ports_that_nobody_listens_at(
    report: Any, names: list[str]
) -> None:
    untaken = tuple(Untaken("manager-b", port, REFUSED) for port in (2377, 7946))
    others = {name.replace("-", "_"): open_ports(name, untaken=untaken) for name in NAMES if name != "manager-b"}
    reports = [report(one.node) if one.node.name == "manager-b" else one for one in HEALTHY.reports]
    assert named(*network(**others), survey=make.survey(reports)) == names


def test_the_port_of_managers_is_that_of_the_swarm() -> None:
    of = make.settings(swarm={"listenPort": 4377})
    untaken = (Untaken("manager-b", 4377, "timed out"), Untaken("manager-c", 2377, REFUSED))
    looks = network(worker_1=open_ports("worker-1", untaken=untaken))
    assert named(*looks, of=of, survey=make.healthy(of)) == ["port-closed@manager-b:4377/tcp"]


def test_overlay_traffic_at_a_port_that_was_not_tried_is_no_finding() -> None:
    survey = with_report("manager-a", swarm=SwarmFacts({}, 7789))
    assert named(*network(), survey=survey) == []
    told = next(one for one in findings.unseen(S, survey, network()) if "7789" in one)
    assert "requorum:swarm.dataPathPort" in told


def test_overlay_traffic_that_does_not_pass_names_the_address_that_it_takes() -> None:
    values = make.raw()
    values["managers"][1]["dataPathAddress"] = "10.77.9.12"
    of = parse(values)
    lost = [(name, OVERLAY, large) for name in NAMES for large in (True, False)]
    found = only(*network(manager_b=without("manager-b", *lost)), of=of, survey=make.healthy(of))
    assert "4789/udp to 10.77.9.12 " in found.proposals[-1].command


def test_an_engine_out_of_the_swarm_does_not_know_how_large_packets_of_its_networks_are() -> None:
    """It lists no overlay network. So what it sends is as large as those of a network whose options name no MTU."""
    small = {name.replace("-", "_"): open_ports(name, mtu=1400, large=1400) for name in NAMES}
    lost = {
        name.replace("-", "_"): without(name, ("manager-b", OVERLAY, True), mtu=1400, large=1400)
        for name in NAMES
        if name != "manager-b"
    }
    looks = network(**{**small, **lost, "manager_b": open_ports("manager-b", mtu=1400, large=1500)})
    assert named(*looks, survey=with_report("manager-b", state=LocalState.ERROR)) == []
    assert "mtu-small@manager-b:eth0" in named(*looks)


def test_nodes_that_did_not_listen_together_say_that_udp_was_not_tried() -> None:
    late = replace(open_ports("worker-1"), began=AT + 4.5, ended=AT + 8.5, heard=())
    assert named(*network(worker_1=late)) == []
    told = next(one for one in findings.unseen(S, HEALTHY, network(worker_1=late)) if "UDP" in one)
    assert told.startswith("UDP was not tried: manager-a to worker-1, manager-b to worker-1")
    assert (
        list(
            findings.unseen(
                S, HEALTHY, (*network()[1:], look("manager-a", ports=open_ports("manager-a"), swarm=SwarmSeen()))
            )
        )
        == []
    )


def test_a_node_that_answers_and_is_not_looked_at_is_told() -> None:
    looks = (*network()[1:], Evidence("manager-a", AT, AT + 3, fault="the login took more than 3 s"))
    assert findings.blind(HEALTHY, looks) == ("manager-a: not looked at: the login took more than 3 s",)
    silent = make.survey([make.silent(HEALTHY.reports[0].node), *HEALTHY.reports[1:]])
    assert findings.blind(silent, looks) == ()


def test_a_look_at_no_service_is_told() -> None:
    """As of an engine that was too busy, or of managers that changed their leader meanwhile."""
    looks = tuple(look(name) for name in NAMES)
    (told,) = findings.unseen(S, HEALTHY, looks)
    assert told.startswith("services were not looked at")
    without_leader = make.survey([make.leaderless(one.node) for one in HEALTHY.managers])
    assert list(findings.unseen(S, without_leader, looks[:3])) == []


ILL = Finding("manager-b", "it is up", (Proposal(Remedy.RESTART, "requorum restart manager-b", "restarts it"),))
PORT = Finding("manager-b", "does not pass", (), Kind.PORT_CLOSED, detail="2377/tcp")


@pytest.mark.parametrize(
    ("ill", "other", "told"),
    [
        (ILL, PORT, ("it may be the cause: begin with port-closed@manager-b:2377/tcp",)),
        (
            ILL,
            replace(PORT, kind=Kind.CLOCK_APART, detail=""),
            ("it may be the cause: begin with clock-apart@manager-b",),
        ),
        (ILL, replace(PORT, kind=Kind.DISK_LOW, detail="/"), ("it may be the cause: begin with disk-low@manager-b:/",)),
        (ILL, replace(PORT, node="manager-c"), ()),
        (ILL, replace(PORT, kind=Kind.MTU_SMALL), ()),
        (replace(ILL, proposals=(Proposal(Remedy.UPDATE, "pulumi up", ""),)), PORT, ()),
    ],
    ids=["a port", "a clock", "a disk", "of another node", "no cause", "its cause is known"],
)
def test_a_node_that_is_unhealthy_for_a_reason_that_another_finding_has_says_so(
    ill: Finding, other: Finding, told: tuple[str, ...]
) -> None:
    """Otherwise its restart is tried first, and its machine is replaced, while a rule of its firewall stays."""
    assert findings.traced((ill,), (other,)) == (replace(ill, evidence=told),)


def test_a_node_in_no_swarm_says_nothing() -> None:
    reports = [make.empty(one.node) if one.node.name == "worker-1" else one for one in HEALTHY.reports]
    looks = network(worker_1=replace(open_ports("worker-1"), heard=()))
    assert findings.judge(S, make.survey(reports), looks, ()) == ()


def test_a_rule_that_is_none_is_never_run() -> None:
    lost = [(name, OVERLAY, large) for name in NAMES for large in (True, False)]
    for rule in (
        "-A INPUT -p udp --dport 4789 $(reboot) -j DROP",
        "-F INPUT udp 4789 -j DROP",
        "-A OUTPUT -p udp --dport 4789 -j DROP",
        "-A INPUT -p udp -m udp --sport 4789 -j DROP",
        "-A INPUT -p udp -m udp ! --dport 4789 -j DROP",
        "-A INPUT -p udp -m udp --sport 4789 --dport 53 -j DROP",
    ):
        assert only(*network(manager_b=without("manager-b", *lost, rules=(rule,)))).fix is None


def test_a_device_that_is_too_small_is_given_the_size_of_the_others() -> None:
    lost = [(name, OVERLAY, True) for name in NAMES]
    others = {
        name.replace("-", "_"): without(name, ("worker-1", OVERLAY, True)) for name in NAMES if name != "worker-1"
    }
    found = only(*network(worker_1=without("worker-1", *lost, mtu=1400), **others))
    assert found.name == "mtu-small@worker-1:eth0"
    assert found.proposals[0].runs[0].text == "ip link set dev eth0 mtu 1500"
    assert "mtu=1350" in found.proposals[1].command


def test_over_ipv6_vxlan_takes_more_of_each_packet() -> None:
    values = make.raw()
    for number, node in enumerate((*values["managers"], *values["workers"]), 11):
        node["address"] = f"fd00::{number}"
    of = parse({**values, "subnet": "fd00::/64", "clusterId": make.CLUSTER})
    every = network(**{
        name.replace("-", "_"): without(name, *((one, OVERLAY, True) for one in NAMES), large=1520) for name in NAMES
    })  # fmt: skip
    found = findings.judge(of, make.healthy(of), every, ())
    commands = {one.command for finding in found for one in finding.proposals}
    assert commands == {
        "make the overlay networks again: docker network create --opt com.docker.network.driver.mtu=1430 …"
    }


def test_a_path_that_is_too_small_is_told_without_a_node() -> None:
    found = only(*network(worker_1=without("worker-1", ("worker-2", OVERLAY, True))))
    assert found.name == "mtu-small@network"
    assert found.evidence == ("worker-2 to worker-1",)


def test_where_all_devices_are_small_the_networks_must_change() -> None:
    every = {
        name.replace("-", "_"): without(name, *((one, OVERLAY, True) for one in NAMES), mtu=1400) for name in NAMES
    }
    found = findings.judge(S, HEALTHY, network(**every), ())
    assert {one.name for one in found} == {f"mtu-small@{name}:eth0" for name in NAMES}
    assert all(one.fix is None for one in found)
