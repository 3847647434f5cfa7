"""What a stack file may say, and how it is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from recovery.errors import SettingError
from recovery.settings import Retention, from_strings, load, parse
from recovery.swarm.machines import Node
from tests.unit.factories import RAW, raw, settings


def test_names_zones_and_roles_are_filled_in() -> None:
    made = settings(5)
    assert [(m.name, m.zone, m.role, m.availability) for m in made.managers] == [
        ("manager-a", "a", "manager", "drain"),
        ("manager-b", "b", "manager", "drain"),
        ("manager-c", "c", "manager", "drain"),
        ("manager-a2", "a", "manager", "drain"),
        ("manager-b2", "b", "manager", "drain"),
    ]
    assert [(w.name, w.zone, w.availability) for w in made.workers] == [
        ("worker-1", "a", None),
        ("worker-2", "b", None),
    ]


def test_nodes_may_have_ipv6_addresses_in_several_networks() -> None:
    made = parse(
        raw(
            subnet="fd00:1::/64, fd00:2::/64,10.77.0.0/16",
            managers=[{"address": "fd00:1::11"}, {"address": "FD00:2:0::12"}, {"address": "fd00:1::13"}],
            workers=[{"address": "fd00:1::21"}, {"address": "10.77.1.21", "dataPathAddress": "fd00:1::22"}],
        )
    )
    assert [str(node.address) for node in made.nodes] == [
        *("fd00:1::11", "fd00:2::12", "fd00:1::13", "fd00:1::21", "10.77.1.21")
    ]
    assert [worker.name for worker in made.workers] == ["worker-fd00-1--21", "worker-10-77-1-21"]
    assert [Node.from_json(node.to_json()) for node in made.nodes] == list(made.nodes)
    assert str(made.subnet) == "fd00:1::/64, fd00:2::/64, 10.77.0.0/16"


def test_a_swarm_that_was_there_may_have_overlay_traffic_of_both_families() -> None:
    both = raw(subnet="10.77.0.0/16, fd00::/64", workers=[{"address": "fd00::21"}])
    assert parse({**both, "clusterId": "id"}).adopted


MANAGERS = RAW["managers"]
BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("even", raw(managers=[*MANAGERS, {"address": "10.77.1.14"}]), "managers", "setting-invalid"),
    ("two", raw(managers=MANAGERS[:2]), "managers", "setting-invalid"),
    ("duplicate address", raw(workers=[{"address": "10.77.1.11"}]), "workers[0].address", "setting-invalid"),
    ("a list of networks, which Pulumi takes for no text", raw(subnet=["10.77.0.0/16"]), "subnet", "setting-invalid"),
    ("a network with bits of a host", raw(subnet="10.77.0.1/16"), "subnet", "setting-invalid"),
    (
        "an address of one link",
        raw(subnet="fe80::/64", managers=[{"address": "fe80::1"}], workers=[]),
        "managers[0].address",
        "setting-invalid",
    ),
    (
        "overlay traffic of both families",
        raw(subnet="10.77.0.0/16, fd00::/64", workers=[{"address": "fd00::21"}]),
        "managers",
        "setting-invalid",
    ),
    ("out of subnet", raw(workers=[{"address": "10.78.1.21"}]), "workers[0].address", "setting-invalid"),
    ("not an address", raw(workers=[{"address": "10.77.1.300"}]), "workers[0].address", "setting-invalid"),
    ("unknown zone", raw(workers=[{"address": "10.77.1.21", "zone": "x"}]), "workers[0].zone", "setting-invalid"),
    (
        "duplicate name",
        raw(workers=[{"address": "10.77.1.21", "name": "manager-a"}]),
        "workers[0].name",
        "setting-invalid",
    ),
    ("unsafe name", raw(workers=[{"address": "10.77.1.21", "name": "a;b"}]), "workers[0].name", "setting-invalid"),
    (
        "one zone holds two of three",
        raw(managers=[{**m, "zone": z} for m, z in zip(MANAGERS, "aab", strict=True)]),
        "managers",
        "setting-invalid",
    ),
    ("two zones", raw(zones=["a", "b"]), "zones", "setting-invalid"),
    ("no bucket", raw(backup={"prefix": "x"}), "backup.bucket", "setting-missing"),
    ("nobody can read the copies", raw(backup={"bucket": "copies"}), "backup.recipients", "setting-missing"),
    (
        "no recipient",
        raw(backup={"bucket": "copies", "recipients": ["ssh-rsa x"]}),
        "backup.recipients[0]",
        "setting-invalid",
    ),
    ("a copy that is none", raw(copy="yesterday"), "copy", "setting-invalid"),
    ("a time without its zone", raw(copy="2026-01-01T00:00:00"), "copy", "setting-invalid"),
    ("no backup", raw(backup=None), "backup", "setting-missing"),
    (
        "endpoint without scheme",
        raw(backup={"bucket": "copies", "endpoint": "s3.example.org"}),
        "backup.endpoint",
        "setting-invalid",
    ),
    ("impossible bucket", raw(backup={"bucket": "A_B"}), "backup.bucket", "setting-invalid"),
    (
        "prefix with a slash at its end",
        raw(backup={"bucket": "copies", "prefix": "x/"}),
        "backup.prefix",
        "setting-invalid",
    ),
    (
        "no grace for an upload under way",
        raw(backup={**RAW["backup"], "retention": {"graceHours": 0}}),
        "backup.retention.graceHours",
        "setting-invalid",
    ),
    (
        "a count below none",
        raw(backup={**RAW["backup"], "retention": {"daily": -1}}),
        "backup.retention.daily",
        "setting-invalid",
    ),
    (
        "an unknown rule",
        raw(backup={**RAW["backup"], "retention": {"dayly": 7}}),
        "backup.retention.dayly",
        "setting-unknown-key",
    ),
    ("managers are a number", raw(managers=5), "managers", "setting-invalid"),
    ("zones are null", raw(zones=None), "zones", "setting-invalid"),
    (
        "reached at one address",
        raw(workers=[{"address": "10.77.1.21", "sshAddress": "10.77.1.11"}]),
        "workers[0].sshAddress",
        "setting-invalid",
    ),
    ("the network's own address", raw(workers=[{"address": "10.77.0.0"}]), "workers[0].address", "setting-invalid"),
    ("unknown driver", raw(hosts={"driver": "cloud"}), "hosts.driver", "setting-invalid"),
    ("no image", raw(hosts={**RAW["hosts"], "image": ""}), "hosts.image", "setting-missing"),
    (
        "no engine for a zone",
        raw(hosts={**RAW["hosts"], "endpoint": "", "endpoints": {"a": "unix:///s"}}),
        "hosts.endpoint",
        "setting-missing",
    ),
    ("unknown key", raw(swarm={"autoLock": False}), "swarm.autoLock", "setting-unknown-key"),
    ("wrong type", raw(swarm={"taskHistoryLimit": "many"}), "swarm.taskHistoryLimit", "setting-invalid"),
    ("data of no service", raw(data={"db": {"volume": "v"}}), "data.db.service", "setting-missing"),
    ("data under an unsafe name", raw(data={"a/b": {"service": "db", "volume": "v"}}), "data.a/b", "setting-invalid"),
    ("data by nothing", raw(data={"db": {"service": "db"}}), "data.db", "setting-invalid"),
    ("data by both", raw(data={"db": {"service": "db", "volume": "v", "backup": ["a"]}}), "data.db", "setting-invalid"),
    ("no way back", raw(data={"db": {"service": "db", "backup": ["dump"]}}), "data.db.restore", "setting-missing"),
    (
        "nothing to bring back",
        raw(data={"db": {"service": "db", "restore": ["a"]}}),
        "data.db.backup",
        "setting-missing",
    ),
    ("text for a command", raw(data={"db": {"service": "db", "backup": "dump"}}), "data.db.backup", "setting-invalid"),
    ("an empty word", raw(data={"db": {"service": "db", "backup": [""]}}), "data.db.backup[0]", "setting-invalid"),
    ("a path for a volume", raw(data={"db": {"service": "db", "volume": "/srv"}}), "data.db.volume", "setting-invalid"),
    ("data unknown key", raw(data={"db": {"service": "db", "volumes": "v"}}), "data.db.volumes", "setting-unknown-key"),
]


@pytest.mark.parametrize(("values", "key", "code"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_settings_are_refused_with_key_and_code(values: dict[str, Any], key: str, code: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(values)
    assert (caught.value.key, caught.value.code) == (key, code)
    assert caught.value.remedy


def test_pulumis_strings_and_the_stack_file_say_the_same(tmp_path: Path) -> None:
    strings = {key: value if isinstance(value, str) else json.dumps(value) for key, value in RAW.items()}
    file = tmp_path / "Pulumi.lab.yaml"
    file.write_text(yaml.safe_dump({"config": {f"requorum:{key}": value for key, value in RAW.items()}}))
    assert from_strings({**strings, "recover": "true"}) == load(file).model_copy(update={"recover": True})


@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_a_swarm_that_was_taken_over_may_have_any_number_of_managers(count: int) -> None:
    made = settings(count, clusterId="abc", zones=["dc"])
    assert {manager.zone for manager in made.managers} == {"dc"}
    assert len(made.managers) == count
    assert made.weaknesses


def test_an_agent_has_a_schedule_and_its_copies_a_retention_by_default() -> None:
    made = settings(agent={})
    assert made.agent
    assert (made.agent.schedule, made.agent.on_change) == ("hourly", True)
    assert made.backup.retention == Retention()
    assert settings().backup.retention is None


@pytest.mark.parametrize(("named", "kept"), [(None, None), ({"last": 2}, Retention(last=2))])
def test_a_retention_that_the_stack_file_names_stays(named: Any, kept: Retention | None) -> None:
    assert settings(agent={}, backup={**RAW["backup"], "retention": named}).backup.retention == kept


def test_a_node_is_stored_and_read_alike_and_as_before_without_a_data_path_address() -> None:
    plain, moved = parse(
        raw(
            subnet="10.77.0.0/16, 192.0.2.0/24",
            workers=[{"address": "10.77.1.21"}, {"address": "10.77.1.22", "dataPathAddress": "192.0.2.22"}],
        )
    ).workers
    assert "data_path_address" not in plain.to_json()
    assert moved.to_json()["data_path_address"] == "192.0.2.22"
    assert [Node.from_json(json.loads(json.dumps(node.to_json()))) for node in (plain, moved)] == [plain, moved]


def test_each_node_may_be_a_network_of_its_own() -> None:
    """As with public addresses that somebody else has the neighbours of."""
    addresses = ["203.0.113.4", "203.0.113.8", "203.0.113.12"]
    subnet = "203.0.113.4/32, 203.0.113.8/31, 203.0.113.12/32"
    made = parse(raw(subnet=subnet, managers=[{"address": one} for one in addresses], workers=[]))
    assert [str(node.address) for node in made.nodes] == addresses


@pytest.mark.parametrize("endpoint", ["https://s3.example.org", "https://s3.example.org/"])
def test_a_second_site_at_the_place_of_the_first_is_refused(endpoint: str) -> None:
    sites = {"endpoint": "https://s3.example.org", "second": {"bucket": RAW["backup"]["bucket"], "endpoint": endpoint}}
    with pytest.raises(SettingError, match="same bucket and prefix as the main site"):
        parse(raw(backup={**RAW["backup"], **sites}))


@pytest.mark.parametrize("slip", ["address 10.77.2.22", None, ["10.77.2.22"], 5])
@pytest.mark.parametrize("group", ["managers", "workers"])
def test_a_node_that_is_no_map_is_refused_with_its_place(group: str, slip: Any) -> None:
    """As one without the colon. Without it, its machine would be taken out of the swarm."""
    nodes = RAW.get(group, [])
    with pytest.raises(SettingError, match="is not a map") as caught:
        parse(raw(**{group: [*nodes, slip]}))
    assert caught.value.key == f"{group}[{len(nodes)}]"


OUTSIDE = [{"address": "10.77.1.21", "name": "w", "dataPathAddress": "192.0.2.21"}]


def test_overlay_traffic_that_the_firewall_drops_is_refused() -> None:
    with pytest.raises(SettingError, match=r"192\.0\.2\.21 of w is not in requorum:subnet 10\.77\.0\.0/16") as caught:
        parse(raw(workers=OUTSIDE))
    assert caught.value.key == "workers[0].dataPathAddress"
    assert caught.value.remedy == "add its network to requorum:subnet, or set requorum:hosts.firewall to false"


@pytest.mark.parametrize(
    "changes",
    [{"subnet": "10.77.0.0/16, 192.0.2.0/24"}, {"hosts": {**RAW["hosts"], "firewall": False}}, {"clusterId": "id"}],
    ids=["its network is named", "no firewall", "a swarm that was there"],
)
def test_overlay_traffic_that_no_firewall_drops_is_free(changes: dict[str, Any]) -> None:
    assert str(parse(raw(workers=OUTSIDE, **changes)).workers[0].data_path) == "192.0.2.21"


@pytest.mark.parametrize("other", [{}, {"dataPathAddress": "10.77.1.30"}], ids=["its address", "its data path address"])
def test_a_data_path_address_is_one_node_s(other: dict[str, Any]) -> None:
    taken = other.get("dataPathAddress", "10.77.1.22")
    workers = [{"address": "10.77.1.22", "name": "a", **other}, {"address": "10.77.1.23", "dataPathAddress": taken}]
    with pytest.raises(SettingError, match=f"{taken} is already the address of a") as caught:
        parse(raw(workers=workers))
    assert caught.value.key == "workers[1].dataPathAddress"


def test_a_cluster_named_like_a_number_stays_a_name() -> None:
    strings = {key: value if isinstance(value, str) else json.dumps(value) for key, value in RAW.items()}
    assert from_strings({**strings, "cluster": "42"}).cluster == "42"


@pytest.mark.parametrize("text", ["", "[]", "config:", "config: []", "config: {1: 2}", "{"])
def test_a_stack_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "Pulumi.odd.yaml"
    file.write_text(text)
    with pytest.raises(SettingError, match=r"code: (unreadable-file|settings-invalid)"):
        load(file)


def test_a_missing_stack_file_is_named_and_the_stacks_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"Pulumi\.none\.yaml") as caught:
        load(tmp_path / "Pulumi.none.yaml")
    assert caught.value.code == "unreadable-file"
    assert caught.value.remedy == "write the first stack file: requorum init --stack NAME"
    for name in ("lab", "prod", "production.example"):
        (tmp_path / f"Pulumi.{name}.yaml").touch()
    with pytest.raises(SettingError) as beside:
        load(tmp_path / "Pulumi.none.yaml")
    assert beside.value.remedy == "name one of these stacks with --stack or PULUMI_STACK: lab, prod"


def test_one_manager_is_a_swarm_and_runs_services_itself() -> None:
    lone = parse(raw(managers=MANAGERS[:1], zones=["a"], workers=[]))
    assert (lone.managers[0].name, lone.managers[0].zone, lone.managers[0].availability) == ("manager-a", "a", None)
    assert lone.weaknesses == ("1 manager tolerates no loss. 3 managers tolerate the loss of 1",)
