"""The commands that Requorum runs on a machine, done to a fake one."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from backports import zstd

from recovery import restore, snapshot, survey, witness
from recovery.transport import Output
from tests.fake.machine import Directory, Machine
from tests.unit.test_keyfile import key_file
from tests.unit.test_snapshot import add, certificate
from tests.unit.test_wal import entry, state

if TYPE_CHECKING:
    from tests.fake.wires import Wires

WAL = f"{snapshot.WAL}0000000000000000-0000000000000000.wal"
WHICH = "swarm/docker-state.json"
"""In an archive: the number under which the directory that it holds is remembered."""
DONE = Output(b"", "", 0)

KEY_FILE = key_file()

identity = cache(certificate)


class FakeShell:
    """Runs the scripts by name; any other is an error of the fake."""

    def __init__(self, wires: "Wires") -> None:
        self._wires = wires
        self._directories: list[Directory] = []
        """What archives hold, by number."""

    def run(self, machine: Machine, argv: Sequence[str], stdin: bytes | Path | None, stdout: Path | None) -> Output:
        if argv[0] == "du":
            return Output(b"128000000 swarm", "", 0)
        if argv[0] == "cat":
            return Output(KEY_FILE, "", 0)
        script, arguments = argv[2], argv[5:]
        content = stdin.read_bytes() if isinstance(stdin, Path) else stdin or b""
        if script == survey.PROBE:
            return self._probe(machine)
        if script == witness.LOOK:
            return Output(b"open\n", "", 0)
        if script == snapshot.TAKE:
            assert stdout
            stdout.write_bytes(self._take(machine))
            return DONE
        verbs: dict[str, tuple[str, Callable[[], Output]]] = {
            restore.RECEIVE: ("receive an archive", lambda: self._receive(machine, content, arguments[0])),
            restore.UNPACK: ("unpack it", lambda: DONE),
            restore.SWAP: ("put it in place", lambda: self._swap(machine, *arguments)),
            restore.DISCARD: ("discard it", lambda: self._discard(machine)),
            restore.SET_ASIDE: ("set its swarm directory aside", lambda: self._set_aside(machine)),
            restore.PROVEN: ("take the mark off", lambda: self._proven(machine)),
        }
        assert script in verbs, f"the fake knows no such script: {argv}"
        what, act = verbs[script]
        with self._wires.effect(f"{machine.name}: {what}", self._wires.connection_lost):
            return act()

    def _probe(self, machine: Machine) -> Output:
        directory = machine.directory
        lines = [machine.machine_id, machine.marked]
        if directory:
            shown = identity(directory.node_id, directory.cluster_id).decode()
            lines += [directory.placed, "raft" if directory.raft else "", shown]
        return Output("\n".join(lines).encode() + b"\n", "", 0)

    def _take(self, machine: Machine) -> bytes:
        directory = machine.directory
        if directory is None or directory.raft is None:
            return b""
        self._directories.append(directory)
        last = directory.raft.last
        content = {
            snapshot.CERTIFICATE: identity(directory.node_id, directory.cluster_id),
            snapshot.KEY: KEY_FILE,
            snapshot.CA: b"ca of " + directory.cluster_id.encode(),
            WAL: entry(last.term, last.index) + state(last.term, directory.raft.commit),
            WHICH: str(len(self._directories) - 1).encode(),
        }
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            for name, data in content.items():
                add(tar, name, data)
        return zstd.compress(plain.getvalue())

    def _receive(self, machine: Machine, content: bytes, sha256: str) -> Output:
        machine.staged = None
        if hashlib.sha256(content).hexdigest() != sha256:
            return Output(b"", "copy: FAILED", 1)
        machine.staged = content
        return DONE

    def _swap(self, machine: Machine, part: str, mark: str) -> Output:
        if machine.staged is None:
            return Output(b"", "no such file", 1)
        with tarfile.open(fileobj=io.BytesIO(zstd.decompress(machine.staged))) as tar:
            which = tar.extractfile(WHICH)
            assert which
            held = self._directories[int(which.read())]
        whole = part == restore.WHOLE
        raft = held.raft if whole else None
        machine.directory = Directory(held.node_id, held.cluster_id, raft, placed=mark, engine_state=False)
        machine.staged = None
        return DONE

    def _discard(self, machine: Machine) -> Output:
        machine.staged = None
        return DONE

    def _set_aside(self, machine: Machine) -> Output:
        machine.directory = None
        return DONE

    def _proven(self, machine: Machine) -> Output:
        if machine.directory:
            machine.directory = Directory(**{**vars(machine.directory), "placed": ""})
        return DONE
