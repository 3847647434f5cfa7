"""Options that only a new swarm takes: a stack file that names others than the running swarm has is refused."""

from dataclasses import replace
from typing import Any

import pytest

from recovery.errors import Refused
from recovery.planning.founding import require_same
from recovery.settings import Settings
from recovery.swarm.found import SwarmFacts
from recovery.swarm.model import Survey
from tests.unit import factories as make


def seen(of: Settings, port: int = 2377, **facts: Any) -> Survey:
    """A healthy swarm whose managers listen at this port."""
    found = make.healthy(of)

    def told(report: Any) -> Any:
        members = tuple(replace(m, manager_address=f"{m.address}:{port}") if m.votes else m for m in report.members)
        return replace(report, members=members, swarm=SwarmFacts(**facts) if report.control else None)

    return replace(found, reports=tuple(map(told, found.reports)))


@pytest.mark.parametrize(
    ("options", "port", "facts"),
    [
        ({}, 2377, {}),
        ({"listenPort": 4377}, 4377, {}),
        ({"dataPathPort": 4790}, 2377, {"data_path_port": 4790}),
        ({}, 2377, {"data_path_port": 4790}),
        (
            {"defaultAddressPools": ["10.30.0.0/16"]},
            2377,
            {"address_pools": ("10.30.0.0/16",), "address_pool_mask": 24},
        ),
        ({"defaultAddressPools": ["10.30.0.0/16"]}, 2377, {}),
        ({}, 2377, {"address_pools": ("10.30.0.0/16",), "address_pool_mask": 20}),
    ],
)
def test_the_options_of_the_running_swarm_are_fine(options: dict[str, Any], port: int, facts: dict[str, Any]) -> None:
    of = make.settings(swarm=options)
    require_same(of, seen(of, port, **facts))


@pytest.mark.parametrize(
    ("options", "port", "facts", "line"),
    [
        ({"listenPort": 4377}, 2377, {}, "requorum:swarm.listenPort: 2377"),
        ({}, 4377, {}, "requorum:swarm.listenPort: 4377"),
        ({"dataPathPort": 4790}, 2377, {}, "requorum:swarm.dataPathPort: 4789"),
        (
            {"defaultAddressPools": ["10.30.0.0/16"], "defaultAddressPoolMask": 20},
            2377,
            {"address_pools": ("10.30.0.0/16",), "address_pool_mask": 24},
            "defaultAddressPoolMask: 24",
        ),
    ],
)
def test_others_are_refused_with_the_line_to_set(
    options: dict[str, Any], port: int, facts: dict[str, Any], line: str
) -> None:
    of = make.settings(swarm=options)
    with pytest.raises(Refused) as refused:
        require_same(of, seen(of, port, **facts))
    assert refused.value.code == "founding-option"
    assert line in refused.value.remedy


def test_without_a_leader_the_stack_file_counts() -> None:
    of = make.settings(swarm={"listenPort": 4377})
    require_same(of, make.survey([make.leaderless(node) for node in of.managers]))


def test_every_node_has_the_listen_port_of_the_swarm_and_the_state_only_if_it_is_set() -> None:
    of, plain = make.settings(swarm={"listenPort": 4377}), make.settings()
    assert {node.listen_port for node in of.nodes} == {4377}
    assert of.nodes[0].from_json(of.nodes[0].to_json()) == of.nodes[0]
    assert of.swarm.to_json()["listen_port"] == 4377
    assert not [key for value in (plain.swarm, *plain.nodes) for key in value.to_json() if "listen" in key]


@pytest.mark.parametrize("port", [2375, 7946, 80, 70000])
def test_a_port_that_another_part_has_or_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(Exception, match="listenPort"):
        make.settings(swarm={"listenPort": port})
