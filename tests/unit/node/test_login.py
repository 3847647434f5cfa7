"""Logins as people have them: sudo, jump hosts, keys in an agent, host keys that an authority signs."""

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from recovery.errors import JumpHostFailed, SettingError, Silent, SshRefused
from recovery.node import ssh
from recovery.node.ssh_keys import in_agent
from recovery.swarm.machines import Hop, Node, Ssh
from tests.unit.node.sshd import CLOSED, LOOPBACK, NO_ROUTE, SUDOER, Door, serving


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with serving(tmp_path_factory.mktemp("ssh")) as door:
        yield door


def known(door: Door) -> Ssh:
    """The settings with which the server lets root in."""
    with door.shell() as opened:
        return opened._ssh


# Rights


def test_a_user_with_sudo_runs_commands_as_root(door: Door) -> None:
    with door.shell(SUDOER) as opened:
        assert opened.run(["whoami"]).stdout == b"root"
        assert opened.run(["echo"], stdin=b"secret").stdout == b"secret", "input goes through sudo"
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(str(opened.engine_socket()))
            engine.sendall(b"ping")
            told = b""
            while not told.endswith(b"ping"):
                told += engine.recv(1 << 16)


def test_a_user_without_sudo_runs_commands_as_himself_and_root_asks_for_no_sudo(door: Door) -> None:
    with door.shell("guest") as opened:
        assert opened.run(["whoami"]).stdout == b"guest"
    with door.shell() as opened:
        assert opened.run(["whoami"]).stdout == b"root"
        assert opened._held
        assert opened._held.sudo is False


# Jump hosts


def behind(door: Door, *hops: Hop, port: int = 0, user: str = "beyond") -> ssh.Shell:
    """A shell on the server, through itself as its own jump host."""
    made = known(door)
    node = Node(name="manager-a", address=LOOPBACK)
    if port:
        made = replace(made, known_hosts_file=made.known_hosts_file, port=port)
    return ssh.Shell(node, replace(made, user=user, jump=hops), pauses=())


def hop(door: Door, user: str, port: int = 0) -> Hop:
    return Hop(host="127.0.0.1", user=user, port=port or door.port)


def test_jump_hosts_carry_the_connection_and_are_shared(door: Door) -> None:
    hops = (hop(door, "first"), hop(door, "second"))
    for user in ("one", "two"):
        with behind(door, *hops, user=user) as opened:
            assert opened.run(["little"]).stdout == b"little"
    logins = [login for login in door.logins if login in ("first", "second", "one", "two")]
    assert logins == ["first", "second", "one", "two"]


def test_a_jump_host_that_carries_nobody_says_nothing_of_the_machine(door: Door) -> None:
    with (
        pytest.raises(JumpHostFailed, match=r"(?s)forbids.*AllowTcpForwarding.*code: jump-host-failed") as caught,
        behind(door, hop(door, CLOSED)),
    ):
        pass
    assert caught.value.node == "manager-a"
    node = Node(name="manager-a", address=LOOPBACK)
    assert not ssh.is_silent(node, replace(known(door), jump=(hop(door, CLOSED),)))


def test_a_jump_host_that_is_down_is_named_and_the_machine_is_not_silent(door: Door) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with (
            pytest.raises(JumpHostFailed, match=rf"(?s)first@127.0.0.1.*port {port} refuses"),
            behind(door, hop(door, "first", port)),
        ):
            pass


def test_a_machine_that_its_jump_host_cannot_reach_is_as_if_it_were_dialled_from_here(door: Door) -> None:
    way = (hop(door, "way"),)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(SshRefused, match=f"port {port} refuses"), behind(door, *way, port=port):
            pass
        node = Node(name="manager-a", address=LOOPBACK)
        assert not ssh.is_silent(node, replace(known(door), port=port, jump=way))
    nowhere = Node(name="manager-a", address=LOOPBACK, ssh_address=NO_ROUTE)
    made = replace(known(door), jump=way)
    with pytest.raises(Silent, match="nothing answers"), ssh.Shell(nowhere, made, connect_seconds=1, pauses=()):
        pass
    assert ssh.is_silent(nowhere, made, seconds=1)
    assert not ssh.is_silent(Node(name="manager-a", address=LOOPBACK), made)


# Keys


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A real ssh-agent."""
    path = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as running:
        while not path.exists():
            assert running.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        yield path
        running.terminate()


def add(key: Path, *, passphrase: str) -> None:
    """Give the agent a key, as a person does who types the passphrase."""
    ask = key.with_name("ask")
    ask.write_text(f"#!/bin/sh\necho {passphrase}\n")
    ask.chmod(0o700)
    env = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}
    subprocess.run(["ssh-add", "-q", key], check=True, env=env, capture_output=True)


def encrypted(key: Path, folder: Path) -> Path:
    """The key with a passphrase."""
    copy = folder / "encrypted"
    copy.write_bytes(key.read_bytes())
    copy.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", copy], check=True, capture_output=True)
    return copy


def test_a_key_with_a_passphrase_is_used_through_the_agent(door: Door, agent: Path, tmp_path: Path) -> None:
    key = encrypted(door.key, tmp_path)
    made = replace(known(door), user="agent", private_key_file=key)
    with pytest.raises(SettingError, match=f"(?s)does not hold the key {key}.*ssh-add {key}.*code: no-ssh-agent"):
        door.shell(ssh=made).__enter__()
    add(key, passphrase="secret")
    with door.shell(ssh=made) as opened:
        assert opened.run(["whoami"]).stdout == b"agent"
    public = tmp_path / "encrypted.pub"
    public.write_bytes((door.key.parent / "authorized").read_bytes())
    for number, file in enumerate((public, None)):
        with door.shell(ssh=replace(made, user=f"agent{number}", private_key_file=file)) as opened:
            assert opened.run(["whoami"]).stdout == f"agent{number}".encode()


def test_without_an_agent_a_key_with_a_passphrase_is_refused(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    for key, why in ((encrypted(door.key, tmp_path), "names a key of the SSH agent"), (None, "is not set")):
        with pytest.raises(SettingError, match=f"(?s){why}, and there is no SSH agent.*code: no-ssh-agent"):
            door.shell(ssh=replace(known(door), user="none", private_key_file=key)).__enter__()
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    with pytest.raises(SettingError, match="does not answer"):
        door.shell(ssh=replace(known(door), user="none", private_key_file=None)).__enter__()


def test_what_is_no_key_at_all_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no key")
    with pytest.raises(SettingError, match=f"{tmp_path}/text"):
        in_agent(tmp_path / "text")


def test_a_host_key_that_a_pinned_authority_has_signed_is_trusted(tmp_path: Path) -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    with serving(tmp_path, signed_by=authority) as door:
        file = tmp_path / "known"
        file.write_text(f"@cert-authority [127.0.0.1]:{door.port} {authority.export_public_key().decode()}")
        with door.shell(known=file) as opened:
            assert opened.run(["little"]).stdout == b"little"
