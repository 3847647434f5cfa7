"""SSH to a server of the test's own: which faults are the connection's, the login's, and which this machine's."""

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import asyncssh
import pytest

from recovery.errors import (
    AccessDenied,
    CommandFailed,
    Garbled,
    HostKeyUnknown,
    Limited,
    LocalError,
    Silent,
    SlowLogin,
    SshRefused,
    TransportError,
)
from recovery.node.connections import NOWHERE
from recovery.node.door import door as entered
from recovery.node.shell import ANSWER
from recovery.node.ssh import Shell
from recovery.node.ssh_keys import known_keys
from recovery.survey.nodes import ask
from recovery.swarm.machines import Node, Ssh
from tests.unit.node.sshd import BUSY_SECONDS, MANY, NO_LOGIN, Door, serving

SHORT = (0.05, 0.1, 0.2, 0.4)
"""Pauses between attempts."""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with serving(tmp_path_factory.mktemp("ssh")) as door:
        yield door


@pytest.fixture(scope="module")
def shell(door: Door) -> Callable[..., Shell]:
    """Opens a shell on the server."""
    return door.shell


# Answers


def test_output_goes_whole_into_a_file(shell: Any, tmp_path: Path) -> None:
    with shell() as opened:
        assert opened.run(["much"], stdout=tmp_path / "out").status == 0
        assert (tmp_path / "out").stat().st_size == MANY
        opened.run(["little"], stdout=tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == b"little"


def test_what_a_login_prints_is_no_part_of_any_answer(shell: Any, tmp_path: Path) -> None:
    with shell("noisy") as opened:
        assert opened.run(["little"]).stdout == b"little"
        assert opened.run(["echo"], stdin=b"said").stdout == b"said"
        opened.run(["much"], stdout=tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == bytes(MANY), "a copy is not spoiled"
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(str(opened.engine_socket()))
            engine.sendall(b"ping")
            told = b""
            while not told.endswith(b"ping"):
                told += engine.recv(1 << 16)
            assert told == b"HTTP/1.1 200 OK\r\n\r\nping", "docker system dial-stdio, where sshd forwards no sockets"


@pytest.mark.parametrize("into_a_file", [False, True])
def test_a_login_that_runs_no_commands_is_named_with_what_it_printed(
    shell: Any, tmp_path: Path, into_a_file: bool
) -> None:
    with shell("nologin") as opened, pytest.raises(Garbled, match=f"{NO_LOGIN}(?s:.*)code: answer-garbled") as caught:
        opened.run(["little"], stdout=tmp_path / "out" if into_a_file else None, check=False)
    assert not isinstance(caught.value, Silent)


@pytest.mark.parametrize("command", ["much", "little"])
def test_a_full_disk_is_no_lost_connection(shell: Any, command: str) -> None:
    """``little`` is refused only as the file is closed."""
    with shell() as opened, pytest.raises(LocalError, match="/dev/full on this machine: No space left on device"):
        opened.run([command], stdout=Path("/dev/full"), seconds=20)


@pytest.mark.parametrize("given", ["stdin", "stdout"])
def test_a_file_that_is_not_there_is_no_lost_connection(shell: Any, tmp_path: Path, given: str) -> None:
    with shell() as opened, pytest.raises(LocalError, match="gone on this machine: No such file or directory"):
        opened.run(["echo"], **{given: tmp_path / "gone" if given == "stdin" else tmp_path / "gone" / "gone"})


@pytest.mark.parametrize("folder", ["gone", "file", "long" * 25])
def test_a_temporary_folder_that_cannot_be_used_is_no_silent_engine(
    shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / ("long" * 25)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / folder))
    told = rf"using {tmp_path}/{folder} on this machine: (?s:.*)code: disk-failed$"
    with shell() as opened:
        for _ in range(2):
            with pytest.raises(LocalError, match=told):
                ask(opened)
    assert not list(tmp_path.rglob("requorum-*"))


# One connection


def test_all_shells_of_a_process_share_one_login(door: Door) -> None:
    def work(opened: Shell) -> bytes:
        with opened:
            return opened.run(["little"]).stdout

    with ThreadPoolExecutor() as pool:
        assert set(pool.map(work, [door.shell("shared") for _ in range(4)])) == {b"little"}
    work(door.shell("shared"))
    assert door.logins.count("shared") == 1


def test_whether_a_connection_lives_is_asked_without_the_engine_which_systemd_would_start(door: Door) -> None:
    for _ in range(2):
        with door.shell("asks"):
            pass
    assert NOWHERE in door.sockets
    door.sockets.clear()
    with door.shell("asks"):
        pass
    assert door.sockets == [NOWHERE]


def test_a_command_that_nobody_waits_for_ends_and_leaves_the_connection_open(door: Door) -> None:
    with door.shell("waits") as opened:
        with pytest.raises(CommandFailed, match="no end within 0 s"):
            opened.run(["never"], seconds=0.1)
        assert opened.run(["little"]).stdout == b"little"
    assert door.logins.count("waits") == 1


def test_a_connection_that_was_cut_is_made_anew(door: Door) -> None:
    limit = door.limit()
    with door.shell("cut", port=limit.port) as opened:
        assert opened.run(["little"]).stdout == b"little"
    door.refuse(limit)
    again = door.limit(limit.port)
    with door.shell("cut", port=again.port) as opened:
        assert opened.run(["little"]).stdout == b"little"


# Slow


def test_a_machine_that_accepts_the_connection_has_longer_to_let_us_in(shell: Any) -> None:
    with shell("busy", connect_seconds=BUSY_SECONDS / 2) as opened:
        assert opened.run(["little"]).stdout == b"little"


def test_a_login_that_takes_too_long_is_slow_and_not_silent(shell: Any) -> None:
    opened = shell("busy-1", connect_seconds=BUSY_SECONDS / 4, login_seconds=BUSY_SECONDS / 2)
    with pytest.raises(SlowLogin, match=r"accepts the connection(?s:.*)code: slow-login"), opened:
        pass
    assert opened.accepted


def test_a_login_that_one_gave_up_waiting_for_is_there_for_the_next(door: Door) -> None:
    for _ in range(2):
        with suppress(SlowLogin), door.shell("busy-2", login_seconds=BUSY_SECONDS / 4):
            raise AssertionError("so soon")
    with door.shell("busy-2"):
        pass
    assert door.logins.count("busy-2") == 1


def test_a_machine_where_nothing_answers_costs_no_more_than_the_connection(shell: Any) -> None:
    """A full queue of connections that nobody takes: the kernel drops what comes besides."""
    with socket.socket() as full, socket.socket() as waits, socket.socket() as waits_too:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for other in (waits, waits_too):
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        opened, begun = shell(port=full.getsockname()[1], connect_seconds=0.2), monotonic()
        with pytest.raises(Silent, match=r"nothing answers \(timed out\)(?s:.*)code: node-unreachable"), opened:
            pass
        assert monotonic() - begun < BUSY_SECONDS * 4, "no pause: it never let this process in"
        assert not opened.accepted


def test_a_frozen_machine_is_not_silent(shell: Any) -> None:
    """Its kernel accepts the connection, and nobody says a banner."""
    with socket.socket() as frozen:
        frozen.bind(("127.0.0.1", 0))
        frozen.listen(5)
        with pytest.raises(SlowLogin), shell(port=frozen.getsockname()[1], login_seconds=0.3):
            pass


# Limited


def test_connections_that_a_host_drops_before_the_banner_are_tried_again_gently(door: Door) -> None:
    limit = door.limit(drops=3)
    with door.shell(port=limit.port, pauses=SHORT) as opened:
        assert opened.run(["little"]).stdout == b"little"
    assert limit.tries == 4


def test_a_brisk_look_at_a_host_that_drops_connections_tries_once_and_names_the_limit(door: Door) -> None:
    limit = door.limit(drops=3)
    opened = door.shell(port=limit.port, pauses=())
    with pytest.raises(Limited, match=r"code: ssh-limited"), opened:
        pass
    assert (limit.tries, opened.accepted) == (1, True)


def test_a_host_that_refuses_after_it_let_us_in_is_tried_again_and_else_named_as_limited(door: Door) -> None:
    limit = door.limit()
    with door.shell("limited", port=limit.port):
        pass
    door.refuse(limit)
    begun = monotonic()
    with pytest.raises(Limited, match="code: ssh-limited"), door.shell("limited", port=limit.port, pauses=SHORT):
        pass
    assert monotonic() - begun > sum(SHORT)
    opening = threading.Timer(sum(SHORT) / 2, door.limit, [limit.port])
    opening.start()
    with door.shell("limited", port=limit.port, pauses=(*SHORT, 2.0)) as opened:
        assert opened.run(["little"]).stdout == b"little"
    opening.join()


def test_a_host_that_never_let_us_in_is_waited_for_once(door: Door) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        costs = []
        for _ in range(2):
            begun = monotonic()
            with pytest.raises(SshRefused, match="code: ssh-refused"), door.shell(port=port, pauses=SHORT):
                pass
            costs.append(monotonic() - begun)
    assert costs[0] > sum(SHORT) > costs[1]


# Kept out


@pytest.mark.parametrize("dial", ["node.example.org", "192.0.2.7"])
def test_a_host_key_is_found_by_a_name_and_by_an_address(tmp_path: Path, dial: str) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    known = tmp_path / "known_hosts"
    known.write_text(f"{dial} {key}\n")
    node = Node(name="node", address=IPv4Address("10.0.0.1"), ssh_address=dial)
    found = known_keys(entered(node, Ssh(private_key_file=tmp_path, known_hosts_file=known)))
    assert [one.export_public_key().decode().strip() for one in found] == [key]


def test_a_host_key_that_is_not_pinned_is_not_called_changed(door: Door) -> None:
    with pytest.raises(HostKeyUnknown, match=r"ssh-keyscan(?s:.*)code: host-key-not-pinned"), door.shell(pinned=False):
        pass


def test_a_key_that_is_not_authorized_is_denied(door: Door, tmp_path: Path) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "other")
    known = tmp_path / "known"
    with door.shell() as opened:
        known.write_text(opened._ssh.known_hosts_file.read_text())
    strange = Ssh(port=door.port, private_key_file=tmp_path / "other", known_hosts_file=known)
    with pytest.raises(AccessDenied, match="code: access-denied"), door.shell(ssh=strange):
        pass


def test_a_name_that_cannot_be_resolved_says_nothing_about_the_machine(door: Door) -> None:
    opened = door.shell("lost", dial="no-such-host.invalid")
    with pytest.raises(TransportError, match="cannot be resolved") as caught, opened:
        pass
    assert not isinstance(caught.value, Silent)


def test_what_answers_without_being_an_ssh_server_is_not_silent(door: Door) -> None:
    """It says a version that nobody knows."""
    with socket.socket() as web:
        web.bind(("127.0.0.1", 0))
        web.listen(5)

        def answer() -> None:
            accepted, _ = web.accept()
            accepted.sendall(b"SSH-9.9-nothing\r\n")
            sleep(0.2)
            accepted.close()

        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(TransportError, match="code: ssh-failed") as caught, door.shell(port=web.getsockname()[1]):
            pass
        answering.join()
    assert not isinstance(caught.value, Silent | Limited)


# How much a node may print


@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_an_answer_that_is_too_long_is_garbled_and_the_connection_stays(door: Door, where: str) -> None:
    with door.shell() as opened:
        with pytest.raises(Garbled, match=rf"more than {ANSWER} bytes(?s:.*)code: answer-garbled$"):
            opened.run(["endless", where], seconds=20)
        assert opened.run(["little"]).stdout == b"little"


def test_a_file_takes_no_more_than_it_should(shell: Any, tmp_path: Path) -> None:
    with shell() as opened:
        opened.run(["much"], stdout=tmp_path / "out", most=MANY)
        with pytest.raises(Garbled, match=f"more than {MANY - 1} bytes"):
            opened.run(["much"], stdout=tmp_path / "out", most=MANY - 1)
        assert (tmp_path / "out").stat().st_size < MANY
