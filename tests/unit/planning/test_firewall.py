"""Where the firewall is wanted, what it lets through, and whom it would cut off."""

from dataclasses import replace

import pytest

from recovery.errors import Refused
from recovery.planning import firewall, preparation
from recovery.settings import Settings, parse
from recovery.swarm.entries import Member
from recovery.swarm.model import Survey
from recovery.swarm.on_node import Chain, Connection, OnNode
from tests.unit import factories as make
from tests.unit.planning.test_preparation import ADOPTED, EARLIER, OFF, WELL, S, asked

ON = asked(ADOPTED, True)
BARE = OnNode()


def found(of: Settings, on_node: OnNode | None, *others: Member, marked: str = "lab") -> Survey:
    """A healthy swarm with other members beside those of the settings, and the same on each machine."""
    reports = [
        replace(r, on_node=on_node, marked=marked, members=(*r.members, *others) if r.members else ())
        for r in make.healthy(of).reports
    ]
    return make.survey(reports)


def stranger(address: str, *, ready: bool = True, manager: bool = False) -> Member:
    voting = f"{address}:2377" if manager else ""
    role = "manager" if manager else "worker"
    seen = "0.0.0.0" if manager else address
    return Member("id-x", "worker-x", seen, role, "active", ready, manager_address=voting)


def test_the_nodes_network_is_let_in_and_everybody_else_is_kept_out_in_both_families() -> None:
    made = firewall.rules(S, 4799)
    assert f"-A REQUORUM -s {S.subnet} -p tcp -m multiport --dports 2377,7946 -j ACCEPT" in made.ipv4
    assert f"-A REQUORUM -s {S.subnet} -p udp -m multiport --dports 7946,4799 -j ACCEPT" in made.ipv4
    assert "ACCEPT" not in " ".join(made.ipv6)
    for rules in (made.ipv4, made.ipv6):
        assert [rule.split()[-1] for rule in rules[-2:]] == ["DROP", "DROP"]
        assert "DROP" not in " ".join(rules[:-2])
        assert "7946,4799" in rules[-1]


def test_nodes_with_networks_of_both_families_are_let_in_by_both_and_from_nowhere_else() -> None:
    of = parse(make.raw(subnet="10.77.0.0/16, 10.99.0.0/24, fd00:77::/64"))
    made = firewall.rules(of, 4789)
    for rules, networks in ((made.ipv4, ("10.77.0.0/16", "10.99.0.0/24")), (made.ipv6, ("fd00:77::/64",))):
        accepted = {rule.split()[3] for rule in rules if rule.endswith("ACCEPT")}
        assert accepted == set(networks)
        assert [rule.split()[-1] for rule in rules[-2:]] == ["DROP", "DROP"]
    returned = len(("10.77.0.0/16", "10.99.0.0/24"))
    assert [rule.split()[-1] for rule in made.forwarded[:returned]] == ["RETURN"] * returned
    assert all(" -d " in rule and rule.endswith("DROP") for rule in made.forwarded[returned:])
    assert [rule.split()[3] for rule in made.forwarded6] == ["fd00:77::/64"] * 4
    assert firewall.rules(S, 4789).forwarded6 == ()


@pytest.mark.parametrize(("address", "refused"), [("fd00:77::9", False), ("fd00:78::9", True)])
def test_a_node_outside_every_network_of_its_family_is_cut_off(address: str, refused: bool) -> None:
    of = parse(make.raw(subnet="10.77.0.0/16, fd00:77::/64"))
    seen = found(of, BARE, stranger(address))
    assert bool(firewall.outside(of, seen)) is refused


@pytest.mark.parametrize(
    ("of", "on_node", "marked", "wanted"),
    [
        (S, None, "", True),
        (OFF, WELL, "lab", False),
        (asked(ADOPTED, True), BARE, "", True),
        (asked(ADOPTED, False), WELL, "lab", False),
        (ADOPTED, BARE, "", None),
        (ADOPTED, None, "", None),
        (ADOPTED, WELL, "lab", True),
        (ADOPTED, WELL, "another", None),
    ],
    ids=[
        "a swarm that Requorum creates",
        "switched off",
        "taken over and asked for",
        "taken over and switched off",
        "taken over",
        "taken over and silent",
        "taken over by an earlier release",
        "what another cluster left",
    ],
)
def test_where_the_firewall_is_wanted(of: Settings, on_node: OnNode | None, marked: str, wanted: bool | None) -> None:
    report = replace(make.healthy(of).reports[0], on_node=on_node, marked=marked)
    assert firewall.is_wanted(of, report) is wanted


def notes(of: Settings, seen: Survey) -> list[str]:
    return list(firewall.notes(of, seen, preparation.closing(of, seen)))


CASES = [
    ("a worker outside", ON, BARE, stranger("192.0.2.7"), True),
    ("a manager outside", ON, BARE, stranger("192.0.2.7", manager=True), True),
    ("by IPv6", ON, BARE, stranger("2001:db8::7"), True),
    ("a swarm that Requorum creates", S, BARE, stranger("192.0.2.7"), True),
    ("inside", ON, BARE, stranger("10.77.9.9"), False),
    ("its address is not known", ON, BARE, stranger("0.0.0.0"), False),
    ("down", ON, BARE, stranger("192.0.2.7", ready=False), False),
    ("not asked for", ADOPTED, BARE, stranger("192.0.2.7"), False),
    ("switched off", OFF, BARE, stranger("192.0.2.7"), False),
    ("it is on already", ON, WELL, stranger("192.0.2.7"), False),
    ("nobody looked", ON, None, stranger("192.0.2.7"), False),
    ("the network is another", ON, replace(WELL, version="of another network"), stranger("192.0.2.7"), True),
    ("an earlier release switched it on", S, EARLIER, stranger("192.0.2.7"), False),
    ("rules were flushed", ON, replace(WELL, ipv4=Chain.MISSING), stranger("192.0.2.7"), True),
]


@pytest.mark.parametrize(("of", "on_node", "member", "refused"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_nobody_of_the_swarms_own_list_is_cut_off(
    of: Settings, on_node: OnNode | None, member: Member, refused: bool
) -> None:
    seen = found(of, on_node, member)
    if not refused:
        preparation.require_nobody_cut_off(of, seen)
        return
    with pytest.raises(Refused) as error:
        preparation.require_nobody_cut_off(of, seen)
    assert error.value.code == "firewall-cuts-off"
    assert "worker-x" in str(error.value)


def test_a_machine_that_replaces_a_lost_one_is_prepared_beside_whoever_comes_from_outside() -> None:
    seen = found(ON, WELL, stranger("192.0.2.7"))
    fresh = replace(make.empty(ON.workers[0]), on_node=BARE)
    reports = [fresh if r.node.name == fresh.node.name else r for r in seen.reports]
    preparation.require_nobody_cut_off(ON, make.survey(reports))


def test_who_loses_access_is_listed_before_the_firewall_is_switched_on() -> None:
    open_ = (
        Connection(2377, "10.77.1.21"),
        Connection(2377, "192.0.2.9"),
        Connection(2376, "10.77.1.21"),
        Connection(2377, "127.0.0.1"),
    )
    first, *others = found(ON, WELL, stranger("192.0.2.7", ready=False)).reports
    seen = make.survey([replace(first, on_node=replace(BARE, connections=open_)), *others])
    ports, *lost = notes(ON, seen)
    assert "manager-a opens 2377/tcp, 7946 and 4789/udp to 10.77.0.0/16 only" in ports
    assert lost == [
        "worker-x at 192.0.2.7 is outside 10.77.0.0/16, and is cut off",
        "manager-a: 192.0.2.9 is connected to port 2377, and is cut off",
        "manager-a: 10.77.1.21 is connected to port 2376, and is cut off",
    ]
    assert notes(ON, found(ON, WELL)) == []


def test_what_the_firewall_of_an_earlier_release_leaves_open_is_told() -> None:
    (note,) = notes(S, found(S, EARLIER))
    assert "leaves the ports open by IPv6" in note
    assert "opens 2377/tcp" in notes(asked(S, True), found(S, EARLIER))[0]
