"""Addresses of both families, with and without a port."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.swarm.address import Address, Networks, as_name, known, with_port, without_port
from recovery.swarm.engine_version import cannot_carry
from recovery.swarm.entries import Member
from recovery.swarm.single import remembered


@given(st.ip_addresses(), st.integers(1, 65535))
def test_an_address_comes_back_from_every_way_to_write_it(address: Address, port: int) -> None:
    for text in (with_port(address, port), str(address), address.exploded, address.exploded.upper()):
        assert without_port(text) == str(address)
    assert known(with_port(address, port)) == (None if address.is_unspecified else address)


@pytest.mark.parametrize("text", ["", "eth0", "m1.example.org:2377", "[fd00::1", "fd00::1::2", "10.0.0.300:1"])
def test_what_is_no_address_is_nobodys(text: str) -> None:
    assert known(text) is None


@given(st.ip_addresses(v=6))
def test_an_address_is_a_name_of_letters_digits_and_hyphens(address: Address) -> None:
    name = f"worker-{as_name(address)}"
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(name) <= 63


def test_the_networks_of_a_cluster_have_their_addresses_and_those_that_are_nobodys() -> None:
    made = Networks((ip_network("10.0.0.0/24"), ip_network("fd00::/64")))
    assert [text for text in ("10.0.0.7", "fd00::7", "fd01::7") if ip_address(text) in made] == ["10.0.0.7", "fd00::7"]
    assert {str(one) for one in made.reserved} == {"10.0.0.0", "10.0.0.255", "fd00::"}


@pytest.mark.parametrize("network", ["10.0.0.4/32", "10.0.0.4/31", "fd00::4/128", "fd00::4/127"])
def test_a_network_of_one_or_two_addresses_has_no_other_than_machines_(network: str) -> None:
    assert not Networks((ip_network(network),)).reserved


def test_an_entry_of_an_ipv6_manager_is_compared_by_its_address() -> None:
    entry = Member("id", "a", "fd00::1", "manager", "active", True, manager_address="[fd00::1]:2377")
    assert entry.raft_address == "fd00::1"


def test_the_files_of_an_ipv6_manager_tell_its_address() -> None:
    state = '[{"node_id": "me", "addr": "[fd00::1]:2377"}, {"node_id": "b", "addr": "[fd00::2]:2377"}]'
    files = remembered(state, '{"LocalAddr": "", "ListenAddr": "[::]:2377", "AdvertiseAddr": "fd00::1"}')
    assert str(files.address("me")) == "fd00::1"
    assert files.others("me") == ("fd00::2",)


@pytest.mark.parametrize(
    ("engine", "address", "cannot"),
    [
        ("20.10.24", "fd00::1", True),
        ("24.0.9", "fd00::1", True),
        ("25.0.0", "fd00::1", False),
        ("28.5.2", "fd00::1", False),
        ("20.10.24", "10.0.0.1", False),
        ("", "fd00::1", False),
    ],
)
def test_an_engine_before_25_carries_no_overlay_traffic_over_ipv6(engine: str, address: str, cannot: bool) -> None:
    assert cannot_carry(engine, ip_address(address)) is cannot
