"""Host keys: all that a machine shows are collected, and pinned once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from recovery.errors import SettingError, Silent, SshRefused, TransportError
from recovery.node import host_keys
from recovery.node.host_keys import Shown, contradicts, pin, shown_by, unpinned
from tests.unit.node.sshd import Door, serving

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with serving(tmp_path_factory.mktemp("ssh"), kinds=KINDS) as door:
        yield door


@pytest.fixture(scope="module")
def shown(door: Door) -> Shown:
    return shown_by("127.0.0.1", door.port)


def test_a_key_of_each_kind_is_collected_with_the_fingerprint_that_openssh_shows(door: Door, shown: Shown) -> None:
    assert [key.algorithm for key in shown.keys] == list(KINDS)
    assert {key.fingerprint for key in shown.keys} == {key.get_fingerprint() for key in door.host_keys}


def test_what_is_pinned_lets_a_shell_in(door: Door, shown: Shown, tmp_path: Path) -> None:
    known = tmp_path / "folder" / "known_hosts"
    assert len(pin([shown], known)) == len(KINDS)
    with door.shell(known=known) as opened:
        assert opened.run(["little"]).stdout == b"little"


@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_with_one_kind_of_host_key_is_pinned_and_entered(kind: str, tmp_path: Path) -> None:
    with serving(tmp_path, kinds=(kind,)) as alone:
        found = shown_by("127.0.0.1", alone.port)
        assert [key.algorithm for key in found.keys] == [kind]
        pin([found], tmp_path / "pinned")
        with alone.shell(known=tmp_path / "pinned") as opened:
            assert opened.run(["little"]).stdout == b"little"


def test_keys_are_pinned_once_and_what_was_in_the_file_stays(shown: Shown, tmp_path: Path) -> None:
    (known := tmp_path / "known_hosts").write_text("# mine")
    assert unpinned(shown, known) == shown.keys
    pin([shown], known)
    text = known.read_text()
    assert text.startswith("# mine\n[127.0.0.1]:")
    assert (unpinned(shown, known), pin([shown], known), known.read_text()) == ((), (), text)


def test_another_key_than_the_pinned_one_is_a_contradiction(shown: Shown, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    pin([replace(shown, keys=shown.keys[:1])], known)
    assert not contradicts(shown, known)
    assert unpinned(shown, known) == shown.keys[1:]
    assert contradicts(replace(shown, keys=shown.keys[1:]), known)


def test_a_file_that_is_no_known_hosts_file_is_refused(shown: Shown, tmp_path: Path) -> None:
    (known := tmp_path / "known_hosts").write_text("nonsense\n")
    with pytest.raises(SettingError):
        unpinned(shown, known)


def test_a_machine_that_refuses_or_is_silent_is_named(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = door.limit()
    door.refuse(limit)
    with pytest.raises(SshRefused, match="port"):
        shown_by("127.0.0.1", limit.port)

    async def never(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(asyncssh, "get_server_host_key", never)
    with pytest.raises(Silent, match=r"nothing answers .*timed out"):
        shown_by("127.0.0.1", door.port)


def test_a_connection_that_ends_early_means_that_the_machine_has_no_key_of_the_kind(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ended = asyncssh.get_server_host_key, []

    async def asked(*given: Any, server_host_key_algs: Any, **more: Any) -> Any:
        if "ssh-ed25519" not in server_host_key_algs:
            ended.append(server_host_key_algs)
            raise ConnectionResetError
        return await real(*given, server_host_key_algs=server_host_key_algs, **more)

    monkeypatch.setattr(host_keys, "PAUSE", 0)
    monkeypatch.setattr(asyncssh, "get_server_host_key", asked)
    assert [key.algorithm for key in shown_by("127.0.0.1", door.port).keys] == ["ssh-ed25519"]
    assert len(ended) == 2 * host_keys.TRIES


def test_a_machine_that_ends_every_connection_is_named(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_keys, "PAUSE", 0)
    with pytest.raises(TransportError, match="ends every connection"):
        shown_by("127.0.0.1", door.limit(drops=100).port)


def test_the_usual_port_is_not_named_in_the_file() -> None:
    assert Shown("m1", 22, ()).pattern == "m1"
    assert Shown("m1", 23, ()).pattern == "[m1]:23"
    assert host_keys.STANDARD_PORT == 22
