"""A running swarm as settings that take it over."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.errors import Refused
from recovery.planning import takeover
from recovery.settings import parse
from recovery.settings.placement import common_networks
from recovery.swarm.address import Address
from recovery.swarm.entries import Member
from recovery.swarm.found import SwarmFacts
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport
from recovery.swarm.on_node import OnNode
from tests.unit import factories as make

REST = {key: make.RAW[key] for key in ("cluster", "ssh", "backup")} | {"hosts": {"driver": "existing"}}


def member(number: int, role: str = "manager", **changes: Any) -> Member:
    address = f"10.77.1.{number}"
    first = Member(
        node_id=f"id-{number}",
        hostname=f"host-{number}",
        address=address,
        role=role,
        availability="active",
        ready=True,
        leader=number == 1,
        reachable=role == "manager",
        manager_address=f"{address}:2377" if role == "manager" else "",
    )
    return replace(first, **changes)


def report(*members: Member, **changes: Any) -> NodeReport:
    node = Node(name="m1.example.org", address=IPv4Address("10.77.1.1"), role="manager", ssh_address="m1.example.org")
    base = make.manager(node, [])
    return replace(base, node=node, node_id="id-1", members=members, swarm=SwarmFacts(), **changes)


def values(
    *members: Member, zones: dict[str, str] | None = None, dials: dict[str, str] | None = None
) -> dict[str, Any]:
    return takeover.as_values(takeover.find(report(*members)), zones or {}, dials or {})


def network(of: dict[str, Any]) -> str:
    every = [*of["managers"], *of.get("workers", ())]
    return ", ".join(map(str, common_networks([ip_address(node["address"]) for node in every])))


def test_the_ca_is_pinned_unless_it_is_just_rotated() -> None:
    seen = replace(report(member(1)), ca_sha256="ab" * 32)
    assert takeover.as_values(takeover.find(seen), {}, {})["caSha256"] == "ab" * 32
    rotating = replace(seen, swarm=SwarmFacts({}, rotating=True))
    assert "caSha256" not in takeover.as_values(takeover.find(rotating), {}, {})


def test_nodes_come_as_they_are_managers_first_and_nothing_else_is_named() -> None:
    found = values(member(3, "worker", availability="drain", labels={"disk": "ssd"}), member(2), member(1))
    assert found == {
        "clusterId": make.CLUSTER,
        "caSha256": make.ca_sha256(make.CLUSTER),
        "managers": [{"name": "host-1", "address": "10.77.1.1"}, {"name": "host-2", "address": "10.77.1.2"}],
        "workers": [{"name": "host-3", "address": "10.77.1.3"}],
    }


def test_what_no_engine_can_tell_after_the_loss_of_all_managers_is_named() -> None:
    spec = {"EncryptionConfig": {"AutoLockManagers": True}, "Orchestration": {"TaskHistoryRetentionLimit": 3}}
    found = takeover.find(replace(report(member(1)), swarm=SwarmFacts(spec, 4790)))
    assert takeover.as_values(found, {}, {})["swarm"] == {"dataPathPort": 4790, "autolock": True}
    assert found.autolocked


def test_zones_and_ssh_addresses_go_to_their_nodes() -> None:
    zones, dials = {"host-1": "dc1", "host-2": "dc2"}, {"host-1": "m1.example.org", "host-2": "10.77.1.2"}
    found = values(member(1), member(2), zones=zones, dials=dials)
    assert found["zones"] == ["dc1", "dc2"]
    assert found["managers"] == [
        {"name": "host-1", "address": "10.77.1.1", "zone": "dc1", "sshAddress": "m1.example.org"},
        {"name": "host-2", "address": "10.77.1.2", "zone": "dc2"},
    ]


def test_the_manager_that_was_asked_is_reached_where_it_answered() -> None:
    found = takeover.find(report(member(1), member(2)))
    assert takeover.dial_of(found, "m1.example.org") == {"host-1": "m1.example.org"}


@pytest.mark.parametrize(
    ("labels", "zone"),
    [
        ({}, ""),
        ({"disk": "ssd"}, ""),
        ({"zone": "eu-1a"}, "eu-1a"),
        ({"topology.kubernetes.io/zone": "EU West 1"}, "eu-west-1"),
        ({"dc": "b", "com.example.az": "a"}, "a"),
        ({"zone": "!"}, ""),
    ],
)
def test_a_label_names_the_zone(labels: dict[str, str], zone: str) -> None:
    assert takeover.zone_of(member(1, labels=labels)) == zone


def test_no_two_nodes_get_one_name() -> None:
    members = [member(number, hostname=name) for number, name in enumerate(("web", "web", "web-2", "web", "Web_2"), 1)]
    assert list(takeover.names(members).values()) == ["web", "web-2", "web-2-2", "web-3", "web-2-3"]


def test_a_worker_that_is_down_is_left_alone() -> None:
    found = takeover.find(report(member(1), member(2, "worker", ready=False), member(3, "worker")))
    assert [one.hostname for one in found.down] == ["host-2"]
    assert [one.hostname for one in found.nodes] == ["host-1", "host-3"]


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (report(), "no-leader"),
        (report(member(1), control=False), "no-leader"),
        (report(member(1), member(2, reachable=False)), "silent-manager"),
        (report(member(1), member(2, manager_address="")), "silent-manager"),
        (report(member(1), member(2, "worker", address="m2.example.org")), "no-address"),
        (report(member(1), member(2, "worker", address="0.0.0.0")), "no-address"),
    ],
)
def test_a_swarm_that_cannot_be_taken_over_now_is_refused(seen: NodeReport, code: str) -> None:
    with pytest.raises(Refused) as caught:
        takeover.find(seen)
    assert caught.value.code == code


def test_a_leader_that_does_not_know_its_own_address_is_found_by_that_of_raft() -> None:
    assert takeover.address_of(member(1, address="0.0.0.0")) == IPv4Address("10.77.1.1")


def test_a_node_with_a_data_path_address_gets_it_and_keeps_it() -> None:
    found = {**values(member(1), member(2, "worker")), **REST}
    settings = parse({**found, "subnet": network(found)})
    seen = make.healthy(settings)
    reports = [
        replace(r, on_node=OnNode(data_path="10.99.0.2" if r.node.name == "host-2" else "")) for r in seen.reports
    ]
    whole = takeover.with_data_paths(found, make.survey(reports))
    assert whole["workers"] == [{"name": "host-2", "address": "10.77.1.2", "dataPathAddress": "10.99.0.2"}]
    assert whole["managers"] == found["managers"]


HOSTS = st.text(min_size=0, max_size=80)


@given(st.lists(HOSTS, min_size=1, max_size=6), st.lists(HOSTS, max_size=4), st.data())
def test_the_settings_of_any_swarm_are_accepted(
    managers: Sequence[str], workers: Sequence[str], data: st.DataObject
) -> None:
    members = [member(number, hostname=name) for number, name in enumerate(managers, 1)]
    members += [member(100 + number, "worker", hostname=name) for number, name in enumerate(workers)]
    found = takeover.find(report(*members))
    labels = st.sampled_from(["dc1", "dc2", ""])
    zones = {name: zone for name in takeover.names(found.nodes).values() if (zone := data.draw(labels))}
    given = takeover.as_values(found, zones, {})
    settings = parse({**given, **REST, "subnet": network(given)})
    assert len(settings.nodes) == len(members)
    assert {str(node.address) for node in settings.nodes} == {one.address for one in members}
    assert {node.availability for node in settings.nodes} == {None}


IN_ONE = {4: st.ip_addresses(v=4, network="10.0.0.0/8"), 6: st.ip_addresses(v=6, network="fd00::/8")}


@given(st.sets(st.one_of(*IN_ONE.values()), min_size=1, max_size=6))
def test_the_networks_of_nodes_have_them_all_and_none_at_their_ends(addresses: set[Address]) -> None:
    found = common_networks(addresses)
    assert [network.version for network in found] == sorted({address.version for address in addresses})
    for network in found:
        own = [address for address in addresses if address.version == network.version]
        assert all(address in network for address in own)
        assert not {network.network_address, network.broadcast_address} & set(own)
        assert network.prefixlen <= {4: 24, 6: 64}[network.version]


def test_a_swarm_with_ipv6_addresses_is_taken_over_as_it_is() -> None:
    first = member(1, address="fd00:1::11", manager_address="[fd00:1::11]:2377")
    found = {**values(first, member(2, "worker", address="FD00:1:0::21")), **REST}
    settings = parse({**found, "subnet": network(found)})
    assert [str(node.address) for node in settings.nodes] == ["fd00:1::11", "fd00:1::21"]
    assert str(settings.subnet) == "fd00:1::/64"
