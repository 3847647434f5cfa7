"""What a machine that a program makes gets at its first boot."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.hosts.user_data import HEAD, of_machines, user_data
from recovery.errors import SettingError
from recovery.node.machine_keys import MachineKey
from recovery.planning.preparation import PACKAGES
from tests.unit import factories as make

MANAGER, WORKER = make.settings().managers[0], make.settings().workers[0]
KEY = MachineKey("PRIVATE\n", "ssh-ed25519 AAAA")


def read(text: str) -> dict[str, Any]:
    assert text.startswith(HEAD)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_it_has_the_host_key_and_no_other_is_made() -> None:
    found = read(user_data("root", MANAGER, KEY, ["ssh-ed25519 BBBB"]))
    assert found["ssh_keys"] == {"ed25519_private": "PRIVATE\n", "ed25519_public": "ssh-ed25519 AAAA"}
    assert (found["ssh_deletekeys"], found["ssh_genkeytypes"]) == (True, [])


def test_root_may_log_in_with_the_operators_keys_or_another_user_with_sudo() -> None:
    root = read(user_data("root", MANAGER, KEY, ["ssh-ed25519 BBBB"]))
    assert (root["disable_root"], root["ssh_authorized_keys"], "users" in root) == (False, ["ssh-ed25519 BBBB"], False)
    other = read(user_data("ops", MANAGER, KEY, ["ssh-ed25519 BBBB"]))
    assert other["disable_root"] is True
    assert other["users"][1]["name"] == "ops"
    assert other["users"][1]["sudo"] == "ALL=(ALL) NOPASSWD:ALL"
    assert other["users"][1]["ssh_authorized_keys"] == ["ssh-ed25519 BBBB"]


def test_managers_also_get_what_agents_need() -> None:
    worker = read(user_data("root", WORKER, KEY, []))["packages"]
    assert worker == PACKAGES.split()
    assert {"python3-nacl", *worker} < set(read(user_data("root", MANAGER, KEY, []))["packages"])


def test_only_a_program_s_machines_get_any_and_only_with_a_folder_of_keys(tmp_path: Path) -> None:
    assert of_machines(make.settings()) == {}
    assert of_machines(make.settings(hosts={"driver": "program"})) == {}
    with pytest.raises(SettingError, match="code: host-keys-missing"):
        of_machines(make.settings(hosts={"driver": "program", "identities": str(tmp_path)}))
