"""What the resources of a node are called, and under which other names a state may have them."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from components import hooks, identity
from components.hosts.docker import Docker
from components.hosts.machines import Machines
from recovery.cluster import Cluster
from recovery.settings import Settings, parse
from recovery.swarm.moved import AddressChange
from tests.unit import factories as make
from tests.unit.cluster import Made, Monitor

S = make.settings()
UNNAMED: list[dict[str, Any]] = [{"address": "10.77.1.21"}, {"address": "10.77.2.22"}]
A, B = (str(node.address) for node in S.managers[:2])


def known_as(of: Settings, address: str, *moved: AddressChange, **machines: str) -> list[str]:
    found = identity.of(of, moved, machines)
    node = next(node for node in of.nodes if str(node.address) == address)
    options = found.aliases(node, "member")
    assert found.resource(node, "member") == f"{address}-member"
    return [str(alias.name) for alias in options.aliases or ()]


def move(manager: str, old: str, new: str) -> AddressChange:
    return AddressChange(manager, "id", old, new)


@pytest.mark.parametrize(
    ("of", "address", "moved", "machines", "names"),
    [
        (S, A, [], {}, ["manager-a-member"]),
        (S, A, [move("manager-a", "10.77.9.9", A)], {}, ["manager-a-member", "10.77.9.9-member"]),
        (S, A, [move("manager-a", B, A)], {}, ["manager-a-member"]),
        (S, B, [move("manager-a", "10.77.9.9", A)], {}, ["manager-b-member"]),
        (S, A, [], {"manager-a": "before"}, ["before-member"]),
        (make.settings(workers=UNNAMED), "10.77.2.22", [], {}, ["worker-2-member"]),
        (make.settings(workers=UNNAMED), "10.77.2.22", [], {"worker-10-77-2-22": "worker-3"}, ["worker-3-member"]),
        (
            make.settings(workers=[{"address": "10.77.1.21"}, {"name": "worker-1", "address": "10.77.2.22"}]),
            "10.77.1.21",
            [],
            {},
            ["worker-10-77-1-21-member"],
        ),
    ],
    ids=[
        "an earlier release's",
        "it moved",
        "another node has its old address now",
        "another manager moved",
        "its container was made under another name",
        "a worker without a name",
        "a worker without a name, in a container",
        "another worker has the name of its number",
    ],
)
def test_a_resource_takes_over_what_its_machine_s_resource_was_called(
    of: Settings, address: str, moved: list[AddressChange], machines: Mapping[str, str], names: list[str]
) -> None:
    assert known_as(of, address, *moved, **machines) == names


@pytest.mark.parametrize("without", range(3))
def test_the_name_of_a_worker_without_one_does_not_depend_on_the_others(without: int) -> None:
    workers = [{"address": f"10.77.1.{last}"} for last in (21, 22, 23)]
    of = {node.address: node.name for node in make.settings(workers=workers).workers}
    fewer = make.settings(workers=[worker for number, worker in enumerate(workers) if number != without][::-1])
    assert {node.address: node.name for node in fewer.workers}.items() < of.items()


def declared(of: Settings, monkeypatch: pytest.MonkeyPatch, machines: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What each container is asked to be, by its resource."""
    found: dict[str, dict[str, Any]] = {}

    def seen(request: Any) -> None:
        if request.type == "docker:index/container:Container":
            found[request.name] = {**request.object, "aliases": [alias.spec.name for alias in request.aliases]}

    mocks.set_mocks(Made(), monitor=Monitor(seen))
    monkeypatch.setattr(hooks, "around_host", lambda *_, **__: None)

    @pulumi.runtime.test
    def run() -> None:
        Machines(Cluster(of), Docker(of, identity.of(of, (), machines), machines), {}, ())

    run()
    return found


def test_a_container_keeps_all_that_it_got_from_its_first_name(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {node.name: node.name for node in S.nodes}
    before = declared(S, monkeypatch, made)
    renamed = parse(make.raw(managers=[{**raw, "name": f"m{n}"} for n, raw in enumerate(make.RAW["managers"])]))
    after = declared(renamed, monkeypatch, {**made, "m0": "manager-a", "m1": "manager-b", "m2": "manager-c"})
    assert before == after
    assert after[f"{A}-container"]["name"] == after[f"{A}-container"]["hostname"] == "manager-a"
    assert after[f"{A}-container"]["aliases"] == ["manager-a"]


IPV6 = make.raw(
    subnet="fd00:77::/64",
    managers=[{"address": f"fd00:77::{zone}:{zone + 10}"} for zone in (1, 2, 3)],
    workers=[{"address": "fd00:77::1:21"}],
)


def test_a_resource_at_an_ipv6_address_has_no_colon_in_its_name() -> None:
    of = parse(IPV6)
    moved = [move("manager-a", "fd00:77::9:9", "fd00:77::1:11")]
    found = identity.of(of, moved, {})
    assert found.resource(of.managers[0], "member") == "fd00-77--1-11-member"
    aliases = found.aliases(of.managers[0], "container", plain=True).aliases or ()
    assert [str(alias.name) for alias in aliases] == ["manager-a", "fd00-77--9-9-container"]


def test_a_node_container_gets_the_address_of_its_node_in_its_family(monkeypatch: pytest.MonkeyPatch) -> None:
    for of, family in ((S, "ipv4Address"), (parse(IPV6), "ipv6Address")):
        made = declared(of, monkeypatch, {node.name: node.name for node in of.nodes})
        given = [network for one in made.values() for network in one["networksAdvanced"]]
        assert sorted(network[family] for network in given) == sorted(str(node.address) for node in of.nodes)
