"""The host keys of machines that a program makes: they are made and pinned before, by one command."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from recovery.errors import SettingError
from recovery.node import machine_keys
from recovery.node.machine_keys import FILE
from recovery.settings import Settings
from tests.unit import factories as make


def settings(known: Path, **ssh: Any) -> Settings:
    return make.settings(ssh={**make.RAW["ssh"], "knownHostsFile": str(known), **ssh})


def refused(folder: Path, of: Settings) -> SettingError:
    with pytest.raises(SettingError) as found:
        machine_keys.read(folder, of.nodes, of.ssh)
    return found.value


@pytest.mark.parametrize("port", [22, 2222])
def test_one_command_makes_and_pins_all_that_are_missing(tmp_path: Path, port: int) -> None:
    folder, known = tmp_path / "with space", tmp_path / "known_hosts"
    of = settings(known, port=port)
    error = refused(folder, of)
    assert error.code == "host-keys-missing"
    assert all(node.name in error.why for node in of.nodes)
    subprocess.run(["sh", "-c", error.remedy], check=True)
    keys = machine_keys.read(folder, of.nodes, of.ssh)
    assert keys.keys() == {str(node.address) for node in of.nodes}
    assert len({key.public for key in keys.values()}) == len(of.nodes)
    assert all("PRIVATE KEY" in key.private for key in keys.values())
    assert known.read_text().startswith("10.77" if port == 22 else "[10.77.1.11]:2222 ")


def test_a_key_that_is_there_is_kept_and_pinned(tmp_path: Path) -> None:
    folder, known = tmp_path / "keys", tmp_path / "known_hosts"
    of = settings(known)
    subprocess.run(["sh", "-c", refused(folder, of).remedy], check=True)
    before = machine_keys.read(folder, of.nodes, of.ssh)
    lines = known.read_text().splitlines(keepends=True)
    known.write_text("".join(lines[1:]))
    error = refused(folder, of)
    assert of.managers[0].name in error.why
    assert of.managers[1].name not in error.why
    subprocess.run(["sh", "-c", error.remedy], check=True)
    assert machine_keys.read(folder, of.nodes, of.ssh) == before


def test_another_pinned_key_does_not_count(tmp_path: Path) -> None:
    folder, known = tmp_path / "keys", tmp_path / "known_hosts"
    of = settings(known)
    subprocess.run(["sh", "-c", refused(folder, of).remedy], check=True)
    first, second, *rest = known.read_text().splitlines()
    known.write_text("\n".join([f"{first.split()[0]} {second.split(' ', 1)[1]}", second, *rest, ""]))
    assert of.managers[0].name in refused(folder, of).why


def test_a_file_that_is_no_key_is_named(tmp_path: Path) -> None:
    of = settings(tmp_path / "known_hosts")
    file = tmp_path / str(of.managers[0].address) / FILE
    file.parent.mkdir()
    file.write_text("no key\n")
    error = refused(tmp_path, of)
    assert (error.code, str(file) in error.why) == ("unreadable-file", True)
