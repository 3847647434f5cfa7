"""TODO docstring."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from recovery.errors import SettingError
from recovery.settings import from_strings, load, parse
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


MANAGERS = RAW["managers"]
BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("even", raw(managers=[*MANAGERS, {"address": "10.77.1.14"}]), "managers", "3, 5, 7 or 9"),
    ("one", raw(managers=MANAGERS[:1]), "managers", "3, 5, 7 or 9"),
    ("duplicate address", raw(workers=[{"address": "10.77.1.11"}]), "workers[0].address", "address of its own"),
    ("out of subnet", raw(workers=[{"address": "10.78.1.21"}]), "workers[0].address", "correct the subnet"),
    ("not an address", raw(workers=[{"address": "10.77.1.300"}]), "workers[0].address", "correct it"),
    ("unknown zone", raw(workers=[{"address": "10.77.1.21", "zone": "x"}]), "workers[0].zone", "a, b, c"),
    (
        "duplicate name",
        raw(workers=[{"address": "10.77.1.21", "name": "manager-a"}]),
        "workers[0].name",
        "name of its own",
    ),
    ("unsafe name", raw(workers=[{"address": "10.77.1.21", "name": "a;b"}]), "workers[0].name", "correct it"),
    (
        "one zone holds two of three",
        raw(managers=[{**m, "zone": z} for m, z in zip(MANAGERS, "aab", strict=True)]),
        "managers",
        "spread",
    ),
    ("two zones", raw(zones=["a", "b"]), "zones", "three zones"),
    ("no bucket", raw(backup={"prefix": "x"}), "backup.bucket", "correct it"),
    ("nobody can read the copies", raw(backup={"bucket": "copies"}), "backup.recipients", "age-keygen"),
    (
        "no recipient",
        raw(backup={"bucket": "copies", "recipients": ["ssh-rsa x"]}),
        "backup.recipients[0]",
        "correct it",
    ),
    ("a copy that is none", raw(copy="yesterday"), "copy", "correct it"),
    ("a time without its zone", raw(copy="2026-01-01T00:00:00"), "copy", "correct it"),
    ("no backup", raw(backup=None), "backup", "stack file"),
    (
        "endpoint without scheme",
        raw(backup={"bucket": "copies", "endpoint": "s3.example.org"}),
        "backup.endpoint",
        "correct it",
    ),
    ("impossible bucket", raw(backup={"bucket": "A_B"}), "backup.bucket", "correct it"),
    ("prefix with a slash at its end", raw(backup={"bucket": "copies", "prefix": "x/"}), "backup.prefix", "correct it"),
    (
        "no grace for an upload under way",
        raw(backup={**RAW["backup"], "retention": {"graceHours": 0}}),
        "backup.retention.graceHours",
        "correct it",
    ),
    (
        "a count below none",
        raw(backup={**RAW["backup"], "retention": {"daily": -1}}),
        "backup.retention.daily",
        "correct it",
    ),
    (
        "an unknown rule",
        raw(backup={**RAW["backup"], "retention": {"dayly": 7}}),
        "backup.retention.dayly",
        "correct it",
    ),
    ("managers are a number", raw(managers=5), "managers", "give a list"),
    ("zones are null", raw(zones=None), "zones", "give a list"),
    (
        "reached at one address",
        raw(workers=[{"address": "10.77.1.21", "sshAddress": "10.77.1.11"}]),
        "workers[0].sshAddress",
        "of its own",
    ),
    ("the network's own address", raw(workers=[{"address": "10.77.0.0"}]), "workers[0].address", "another address"),
    ("unknown driver", raw(hosts={"driver": "cloud"}), "hosts.driver", "correct it"),
    ("no image", raw(hosts={"driver": "docker", "endpoint": "unix:///s"}), "hosts.image", "hosts.image"),
    (
        "no engine for a zone",
        raw(hosts={**RAW["hosts"], "endpoint": "", "endpoints": {"a": "unix:///s"}}),
        "hosts.endpoint",
        "hosts.endpoints",
    ),
    ("unknown key", raw(swarm={"autoLock": True}), "swarm.autoLock", "correct it"),
    ("wrong type", raw(swarm={"taskHistoryLimit": "many"}), "swarm.taskHistoryLimit", "correct it"),
    ("data of no service", raw(data={"db": {"volume": "v"}}), "data.db.service", "correct it"),
    ("data under an unsafe name", raw(data={"a/b": {"service": "db", "volume": "v"}}), "data.a/b", "correct it"),
    ("data by nothing", raw(data={"db": {"service": "db"}}), "data.db", "give either"),
    ("data by both", raw(data={"db": {"service": "db", "volume": "v", "backup": ["a"]}}), "data.db", "give either"),
    ("no way back", raw(data={"db": {"service": "db", "backup": ["dump"]}}), "data.db.restore", "each a list of words"),
    (
        "nothing to bring back",
        raw(data={"db": {"service": "db", "restore": ["a"]}}),
        "data.db.backup",
        "each a list of words",
    ),
    ("text for a command", raw(data={"db": {"service": "db", "backup": "dump"}}), "data.db.backup", "correct it"),
    ("an empty word", raw(data={"db": {"service": "db", "backup": [""]}}), "data.db.backup[0]", "correct it"),
    ("a path for a volume", raw(data={"db": {"service": "db", "volume": "/srv"}}), "data.db.volume", "correct it"),
    ("data unknown key", raw(data={"db": {"service": "db", "volumes": "v"}}), "data.db.volumes", "correct it"),
]


@pytest.mark.parametrize(("values", "key", "remedy"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_settings_are_refused_with_key_and_remedy(values: dict[str, Any], key: str, remedy: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(values)
    assert caught.value.key == key
    assert remedy in caught.value.remedy


def test_pulumis_strings_and_the_stack_file_say_the_same(tmp_path: Path) -> None:
    strings = {key: value if isinstance(value, str) else json.dumps(value) for key, value in RAW.items()}
    file = tmp_path / "Pulumi.lab.yaml"
    file.write_text(yaml.safe_dump({"config": {f"requorum:{key}": value for key, value in RAW.items()}}))
    assert from_strings({**strings, "recover": "true"}) == load(file).model_copy(update={"recover": True})


def test_a_cluster_named_like_a_number_stays_a_name() -> None:
    strings = {key: value if isinstance(value, str) else json.dumps(value) for key, value in RAW.items()}
    assert from_strings({**strings, "cluster": "42"}).cluster == "42"


@pytest.mark.parametrize("text", ["", "[]", "config:", "config: []", "config: {1: 2}", "{"])
def test_a_stack_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "Pulumi.odd.yaml"
    file.write_text(text)
    with pytest.raises(SettingError):
        load(file)


def test_a_missing_stack_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"Pulumi\.none\.yaml does not exist"):
        load(tmp_path / "Pulumi.none.yaml")
