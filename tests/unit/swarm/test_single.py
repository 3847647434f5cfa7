"""What the files next to a raft log say of its manager, and of the others."""

from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import pytest

from recovery.swarm.on_node import OnNode
from recovery.swarm.single import Remembered, Single, remembered
from tests.unit import factories as make

ME, OTHER, THIRD = "jgujciaw0o1xe4x6ah3zlh6dt", "xw6vnisoq10e2943t1wlll5te", "wqgkqw3vefsqumya44q49dz9c"
STATE = f'[{{"node_id":"{ME}","addr":"10.0.0.1:2377"}},{{"node_id":"{OTHER}","addr":"10.0.0.3:2377"}},{{"node_id":"{THIRD}","addr":"10.0.0.2:2377"}}]'
ENGINE = '{"LocalAddr":"","RemoteAddr":"10.0.0.1:2377","ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"10.0.0.9:2377","DataPathAddr":"10.1.0.1"}'


def test_its_own_entry_tells_its_address_and_the_rest_are_the_others() -> None:
    files = remembered(STATE, ENGINE)
    assert files.address(ME) == IPv4Address("10.0.0.1")
    assert files.others(ME) == ("10.0.0.2", "10.0.0.3")
    assert files.data_path == IPv4Address("10.1.0.1")


@pytest.mark.parametrize(
    ("engine", "address"),
    [
        (ENGINE, "10.0.0.9"),
        ('{"AdvertiseAddr":"","LocalAddr":"10.0.0.8"}', "10.0.0.8"),
        ('{"AdvertiseAddr":"eth0:2377","LocalAddr":""}', None),
        ('{"AdvertiseAddr":"0.0.0.0:2377"}', None),
        ('{"AdvertiseAddr":"[2001:db8::1]:2377"}', "2001:db8::1"),
        ("", None),
        ("[]", None),
        ('{"AdvertiseAddr":7}', None),
    ],
)
def test_without_an_entry_of_its_own_the_engines_file_tells_it(engine: str, address: str | None) -> None:
    for state in ("", "null", "{}", "[1]", '[{"node_id":"another","addr":"0.0.0.0:2377"}]', '[{"addr":null}]'):
        files = remembered(state, engine)
        assert files.address(ME) == (ip_address(address) if address else None)
        assert files.others(ME) == ()


@pytest.mark.parametrize(
    ("state", "engine", "listen", "port"),
    [
        (STATE, ENGINE, None, 2377),
        (STATE.replace("2377", "4377"), "", None, 4377),
        (STATE, '{"ListenAddr":"10.0.0.1:4377"}', "10.0.0.1", 4377),
        (STATE, '{"ListenAddr":"[2001:db8::1]:4377"}', "2001:db8::1", 4377),
        (STATE, '{"ListenAddr":"eth0:4377"}', None, 4377),
        (STATE, '{"ListenAddr":"0.0.0.0"}', None, 2377),
        ("", '{"ListenAddr":7}', None, 2377),
        ('[{"addr":"10.0.0.1"},{"addr":9}]', "", None, 2377),
    ],
)
def test_the_engines_file_tells_where_it_listens_and_else_the_managers(
    state: str, engine: str, listen: str | None, port: int
) -> None:
    files = remembered(state, engine)
    assert (files.listen, files.port) == (ip_address(listen) if listen else None, port)


def test_an_older_entry_at_its_own_address_is_not_another_manager() -> None:
    """A machine that joined again left its earlier node ID behind."""
    same = IPv4Address("10.0.0.1")
    assert Remembered(((ME, same), (OTHER, same))).others(ME) == ()


def test_only_the_tools_that_a_trial_needs_are_missed() -> None:
    report = make.leaderless(make.settings().managers[0])
    seen = Single(replace(report, on_node=OnNode(lacks=("age", "openssl", "zstd"))))
    assert seen.lacks == ("zstd",)
    assert Single(report).lacks == ()


def test_who_does_not_answer_is_silent() -> None:
    report = make.leaderless(make.settings().managers[0])
    assert Single(report, ("10.0.0.2", "10.0.0.3"), ("10.0.0.3",)).silent == ("10.0.0.2",)
