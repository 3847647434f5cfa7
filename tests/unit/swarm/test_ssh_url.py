"""Addresses for SSH."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.swarm.address import Address
from recovery.swarm.machines import Hop
from recovery.swarm.ssh_url import SshUrl, parse_hop, parse_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("ssh://root@10.0.0.1", SshUrl("10.0.0.1")),
        ("ssh://10.0.0.1", SshUrl("10.0.0.1")),
        ("ssh://ops@m1.example.org:2222", SshUrl("m1.example.org", "ops", 2222)),
        ("ops@m1/", SshUrl("m1", "ops")),
        ("ssh://ops@[fd00::1]:2222", SshUrl("fd00::1", "ops", 2222)),
        ("ops@fd00::1", SshUrl("fd00::1", "ops")),
        ("fd00::1", SshUrl("fd00::1")),
    ],
)
def test_an_address_has_a_host_and_may_have_user_and_port(text: str, url: SshUrl) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh://",
        "http://m1",
        "ssh://root@",
        "ssh://m1:0x",
        "ssh://m1:99999",
        "ssh://m1/etc",
        "ssh://[m1",
        "ssh://m1?a=b",
    ],
)
def test_what_is_no_address_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match="give ssh://user@host"):
        parse_url(text)


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="a password does not belong") as caught:
        parse_url("ssh://root:hunter2@m1")
    assert "hunter2" not in str(caught.value)


@given(st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True), st.integers(1, 65535))
def test_parts_come_back(host: str, port: int) -> None:
    assert parse_url(f"ssh://ops@{host}:{port}") == SshUrl(host, "ops", port)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_addresses_of_both_families_come_back_as_they_are_written(address: Address, port: int) -> None:
    url = SshUrl(str(address), "ops", port)
    assert parse_url(str(url)) == url
    hop = Hop(host=str(address), user="ops", port=port)
    assert parse_hop(str(hop)) == hop
