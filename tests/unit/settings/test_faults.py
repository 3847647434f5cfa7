"""All faults of a stack file at once, with the nearest known key for a misspelt one."""

import json
from contextvars import ContextVar
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from components.settings import from_program
from recovery.errors import SettingError, SettingErrors
from recovery.settings import parse
from recovery.settings.keys import known_keys, nearest
from tests.unit.factories import RAW, raw


def misspelt(key: str, into: str) -> dict[str, Any]:
    values = raw()
    values[into] = values.pop(key)
    return values


MISSPELT = [
    (misspelt("managers", "mangers"), "mangers", "managers"),
    (misspelt("subnet", "subnets"), "subnets", "subnet"),
    (raw(backup={**RAW["backup"], "identityfile": "/id"}), "backup.identityfile", "backup.identityFile"),
    (raw(backup={**RAW["backup"], "retention": {"dayly": 7}}), "backup.retention.dayly", "backup.retention.daily"),
    (raw(swarm={"autoLock": False}), "swarm.autoLock", "swarm.autolock"),
    (raw(workers=[{"address": "10.77.1.21", "label": {}}]), "workers[0].label", "workers[0].labels"),
    (raw(ssh={**RAW["ssh"], "loginSecs": 9}), "ssh.loginSecs", "ssh.loginSeconds"),
    (raw(data={"db": {"service": "db", "volumes": "v"}}), "data.db.volumes", "data.db.volume"),
    (
        raw(backup={**RAW["backup"], "second": {"bucket": "bbb", "regoin": "r"}}),
        "backup.second.regoin",
        "backup.second.region",
    ),
]


@pytest.mark.parametrize(("values", "key", "near"), MISSPELT, ids=[row[1] for row in MISSPELT])
def test_a_misspelt_key_is_one_fault_with_the_known_key(values: dict[str, Any], key: str, near: str) -> None:
    with pytest.raises(SettingError, match=r"code: setting-unknown-key$") as caught:
        parse(values)
    assert (caught.value.key, caught.value.remedy) == (key, f"rename it to {near}")


@pytest.mark.parametrize(
    ("values", "key", "code"),
    [
        (raw(managers=[]), "managers", "setting-missing"),
        (raw(workers=[{"address": "10.77.1.21"}, {"address": "10.77.1.21"}]), "workers[1].address", "setting-invalid"),
    ],
    ids=["no managers", "a machine twice"],
)
def test_one_mistake_is_one_fault(values: dict[str, Any], key: str, code: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(values)
    assert (caught.value.key, caught.value.code) == (key, code)


@pytest.mark.parametrize(("values", "key"), [(raw(colour="red"), "colour"), (raw(swarm={"zebra": 1}), "swarm.zebra")])
def test_a_key_that_is_like_no_other_is_to_be_removed(values: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(values)
    assert caught.value.key == key
    assert caught.value.remedy.startswith("remove it, or use ")


def test_all_faults_are_told_at_once(snapshot: SnapshotAssertion) -> None:
    """Of every kind: unknown, missing, of a wrong type, of one model, of the whole cluster, and behind a misspelt key."""
    values = raw(
        zones=["a", "b"],
        workers=[{"address": "10.78.1.21", "zone": "x"}, {"address": "10.77.1.11", "naem": "w"}],
        hosts={"driver": "docker"},
        backup={"bucket": "copies", "encryption": {"mode": "customer"}, "retenton": {"daily": -1}},
        agent={"metricsFolder": "metrics"},
        colour="red",
    )
    del values["subnet"]
    with pytest.raises(SettingErrors, match=r"code: settings-invalid$") as caught:
        parse(values)
    assert str(caught.value) == snapshot


def test_faults_that_show_once_all_else_is_right_are_told_at_once() -> None:
    values = raw(
        workers=[{"address": "10.78.1.21", "zone": "x"}, {"address": "10.77.1.11"}],
        backup={"bucket": "copies"},
        swarm={"autolock": True},
    )
    with pytest.raises(SettingErrors) as caught:
        parse(values)
    assert [one.key for one in caught.value.errors] == [
        "workers[0].zone",
        "workers[0].address",
        "workers[1].address",
        "backup.recipients",
        "escrow.recipients",
    ]


def test_one_fault_is_itself() -> None:
    with pytest.raises(SettingError) as caught:
        parse(raw(managers=5))
    assert not isinstance(caught.value, SettingErrors)


def test_the_keys_of_every_place_are_known() -> None:
    assert {"cluster", "copy", "managers"} <= set(known_keys(()))
    assert "identityFile" in known_keys(("backup",))
    assert "sshAddress" in known_keys(("managers", 0))
    assert "volume" in known_keys(("data", "any"))
    assert "daily" in known_keys(("backup", "retention", "cluster"))
    assert nearest("COPY", known_keys(())) == "copy"
    assert nearest("zzz", known_keys(())) == ""


def test_pulumis_program_tells_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values = misspelt("managers", "mangers") | {"colour": "red"}
    given = {f"requorum:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    for place in ("components.settings.CONFIG", "pulumi.runtime.config.CONFIG"):
        monkeypatch.setattr(place, ContextVar("config", default=given))
    with pytest.raises(SettingErrors) as program:
        from_program()
    with pytest.raises(SettingErrors) as command_line:
        parse(values)
    assert {str(one) for one in program.value.errors} == {str(one) for one in command_line.value.errors}
