"""Carries out the commands that Requorum runs on a machine on a fake machine."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backports import zstd
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256

from recovery.node import data_root, program
from recovery.node.engine import RESTART
from recovery.node.shell import DATA_ROOT, Output
from recovery.onnode import archive, copying
from recovery.onnode.sandbox import AT_FAULT
from recovery.operations import agents, ending, former, restart, walks
from recovery.s3 import sealing
from recovery.steps import lock, redirect, swarm_directory
from recovery.survey import damage, last_leader, load, nodes, single, unknown_managers, workload
from tests.fake.machine import Directory, Machine
from tests.fake.raft import Raft
from tests.unit import factories as make
from tests.unit.copies.test_snapshot import add
from tests.unit.swarm.test_key_file import PRIVATE, key_file
from tests.unit.swarm.test_wal import entry, state

if TYPE_CHECKING:
    from tests.fake.wires import Wires


WAL = f"{archive.WAL}0000000000000000-0000000000000000.wal"
WHICH = "swarm/docker-state.json"
"""A file in each archive. It holds the number of the archive's directory in the fake."""
FOLDER = "/var/lib/requorum/copies/fake"
OWN_ENTRIES = 12
"""The number of entries that a forced new cluster writes before it can be listed (election, states of nodes)."""
DONE = Output(b"", "", 0)
REBOOT = ["systemctl", "--no-block", "reboot"]
IDLE = b"0.10 0.20 0.30 1/200 999\n2\n2048000 kB\n1024000 kB\n/dev/sda1 4096000 1024000 3072000 25% /\n"
"""What a node without a container answers about its load."""

KEY_FILE = key_file()


class FakeShell:
    """Runs the known scripts. An unknown script is an error of the fake."""

    def __init__(self, wires: "Wires") -> None:
        self._wires = wires
        self._directories: list[Directory] = []
        """The directories of archives, by number."""
        self._numbers: dict[int, int] = {}
        """The number of a directory, so that the archives of an unchanged one are alike."""

    def run(self, machine: Machine, argv: Sequence[str], stdin: bytes | Path | None, stdout: Path | None) -> Output:
        if argv[-1] == data_root.FIND:
            return Output(f"{DATA_ROOT}\n".encode(), "", 0)
        if argv[0] == "python3":
            assert isinstance(stdin, bytes)
            size, verb, *asked = argv[len(program.PYTHON) :]
            return self._program(machine, verb, asked, stdin[int(size) :])
        if argv == REBOOT:
            with self._wires.effect(f"{machine.name}: reboot", self._wires.connection_lost):
                self._wires.swarm.boot_again(machine)
                return DONE
        if argv[0] == "rm":
            machine.copy = None
            return DONE
        if argv[0] == "cat" and stdout:
            assert machine.copy is not None
            stdout.write_bytes(machine.copy)
            return DONE
        if argv[0] == "cat":
            return Output(key_file(machine.key) if machine.key else KEY_FILE, "", 0)
        if argv == ending.VOLUMES:
            return DONE  # no machine has a volume
        script, arguments = argv[2], argv[5:]
        content = stdin.read_bytes() if isinstance(stdin, Path) else stdin or b""
        if script == restart.BOOT:
            return Output(f"{machine.machine_id} {machine.boots}\n".encode(), "", 0)
        if script == walks.RUN:
            with self._wires.effect(f"{machine.name}: run {' '.join(arguments)}", self._wires.connection_lost):
                return self._ran(machine, list(arguments))
        if script == nodes.PROBE:
            return self._probe(machine)
        if script == damage.UNIT:
            return Output(b"ActiveState=failed\n" if machine.halted else b"ActiveState=active\n", "", 0)
        if script == unknown_managers.KNOCK:
            there = self._wires.swarm.machines.get(argv[4])
            return Output(b"", "", 0 if there and there.raft and machine.reaches(there) else 1)
        if script == single.BESIDE:
            return self._beside(machine)
        if script == lock.WAS_ON:
            return Output(b"", "", 1)
        if script == last_leader.ASK:
            return DONE
        if script == agents.LOOK:
            return Output(b"\n", "", 0)  # no machine has an agent
        if script == load.ASK:
            return Output(IDLE, "", 0)
        if script == workload.ASK_WORKLOAD:
            return Output(b"open\n" if machine.gossips else b"closed\n", "", 0)
        if script == former.LOOK:
            return Output("\n".join(f"{at:.0f}" for at in machine.former).encode(), "", 0)
        verbs: dict[str, tuple[str, Callable[[], Output]]] = {
            swarm_directory.RECEIVE: ("receive an archive", lambda: self._receive(machine, content, arguments[0])),
            swarm_directory.FETCH: (
                "lay an archive beside",
                lambda: self._receive(machine, machine.copy, arguments[0]),
            ),
            single.KEEP: ("keep a safety copy", lambda: self._keep(machine, arguments[1])),
            swarm_directory.NOTE: ("note what was repaired", lambda: self._note(machine, content)),
            swarm_directory.EXCHANGE: ("exchange the directories", lambda: self._exchange(machine)),
            swarm_directory.FORCED: ("take the note off", lambda: self._forced(machine)),
            swarm_directory.UNPACK: ("unpack it", lambda: DONE),
            swarm_directory.SWAP: ("put it in place", lambda: self._swap(machine, *arguments)),
            swarm_directory.DISCARD: ("discard it", lambda: self._discard(machine)),
            f"{swarm_directory.SET_ASIDE}; set +e; {RESTART}": (
                "set its swarm directory aside, and restart its engine",
                lambda: self._set_aside(machine) and self._restart(machine),
            ),
            swarm_directory.SET_ASIDE: ("set its swarm directory aside", lambda: self._set_aside(machine)),
            former.REMOVE: (
                "remove former swarm directories",
                lambda: self._remove_former(machine, float(arguments[0])),
            ),
            redirect.OPEN: ("open a detour", lambda: self._detour(machine, *arguments[1:])),
            RESTART: ("restart its engine", lambda: self._restart(machine)),
            swarm_directory.PROVEN: ("take the mark off", lambda: self._proven(machine)),
        }
        assert script in verbs, f"the fake knows no such script: {argv}"
        what, act = verbs[script]
        with self._wires.effect(f"{machine.name}: {what}", self._wires.connection_lost):
            return act()

    def _ran(self, machine: Machine, command: list[str]) -> Output:
        """Run the operator's command: it restarts the engine, as an upgrade to a version does."""
        self._wires.swarm.require_others(machine)
        self._wires.swarm.require_empty(machine)
        machine.ran = (*machine.ran, " ".join(command))
        if command[0] == "false":
            return Output(b"", "no", 1)
        if command[:2] == ["sh", "-c"]:
            machine.engine = command[2].split()[-1]
        self._wires.swarm.restart(machine)
        return Output(b"done\n", "", 0)

    def _probe(self, machine: Machine) -> Output:
        directory = machine.directory
        lines = [nodes.ROOT, machine.machine_id, machine.marked]
        if directory:
            role = "manager" if directory.raft or directory.left_behind or directory.placed else "worker"
            shown = make.certificate(directory.node_id, directory.cluster_id, role=f"swarm-{role}").decode()
            ca = hashlib.sha256(make.ca(directory.cluster_id)).hexdigest()
            free = "1000000" if machine.full else "1000000000"
            lines += [directory.placed, "raft" if directory.raft else "", "", directory.repaired, free]
            lines += [f"{ca}  swarm-root-ca.crt", shown]
        return Output("\n".join(lines).encode() + b"\n", "", 0)

    @staticmethod
    def _beside(machine: Machine) -> Output:
        """The managers that the swarm directory names, by node ID, and the safety copies next to it."""
        directory = machine.directory
        if directory is None or directory.raft is None:
            return Output(b"", "", 0)
        voters = directory.raft.last.state.voters.values()
        known = json.dumps([{"node_id": voter.node_id, "addr": f"{voter.address}:2377"} for voter in voters])
        shown = make.certificate(directory.node_id, directory.cluster_id).decode()
        return Output("\n".join((known, "", " ".join(machine.kept), shown)).encode(), "", 0)

    @staticmethod
    def _keep(machine: Machine, digest: str) -> Output:
        machine.kept = tuple(sorted({*machine.kept, f"swarm.saved-{digest}.tar.zst"}))
        return DONE

    def _program(self, machine: Machine, verb: str, arguments: list[str], content: bytes) -> Output:
        """Do what `recovery.onnode` does. The machine keeps only its last copy."""
        match verb:
            case "take":
                if machine.directory is None or machine.directory.raft is None:
                    return Output(b"", "certificates or raft log are missing", AT_FAULT)
                if arguments[1:] == [copying.REPAIRED]:
                    return self._repaired(machine, machine.directory, machine.directory.raft)
                machine.copy = self._packed(machine.directory, machine.directory.raft)
                return _told(_taken(machine.copy))
            case "examine":
                assert machine.directory
                harmed = machine.directory.raft and machine.directory.good is not None
                return _told({"fault": "a wrong checksum" if harmed else "", "mends": False, "runs_out": False})
            case "look":
                now = datetime.now(UTC).timestamp()
                return _told({"began": now, "ended": now})
            case "removable":
                return _told(["500 MiB of logs: journalctl --vacuum-size=100M"])
            case "receive":
                machine.copy = content
                return _told({"folder": FOLDER})
            case "prove":
                assert machine.copy is not None
                return _told(_proof(self._held(machine.copy)))
            case "seal":
                assert machine.copy is not None
                machine.copy = sealing.seal(machine.copy, arguments[1:])
                made = _measured(machine.copy)
                signed = copying.statement({**json.loads(content)["manifest"], **made})
                value = base64.b64encode(PRIVATE.sign(signed, ECDSA(SHA256()))).decode()
                return _told({"file": FOLDER, "signature": value, **made})
        raise AssertionError(f"the fake knows no such verb: {verb}")

    def _repaired(self, machine: Machine, directory: Directory, raft: Raft) -> Output:
        """A copy whose log is cut behind its last good entry."""
        good = raft.last.index if directory.good is None else directory.good
        kept = tuple(entry for entry in raft.log if entry.index <= good)
        if not kept:
            return Output(b"", "nothing of its raft log can be used", AT_FAULT)
        cut = Raft(raft.raft_id, kept, min(raft.commit, good))
        machine.copy = self._packed(replace(directory, raft=cut, good=None), cut)
        harmed = "" if directory.good is None else "a wrong checksum"
        return _told({**_taken(machine.copy), "cut": harmed, "claimed": raft.last.index})

    def _packed(self, directory: Directory, raft: Raft) -> bytes:
        if id(directory) not in self._numbers:
            self._numbers[id(directory)] = len(self._directories)
            self._directories.append(directory)
        last = raft.last
        content = {
            archive.CERTIFICATE: make.certificate(directory.node_id, directory.cluster_id),
            archive.KEY: KEY_FILE,
            archive.CA: make.ca(directory.cluster_id),
            WAL: entry(last.term, last.index) + state(last.term, raft.commit),
            WHICH: str(self._numbers[id(directory)]).encode(),
        }
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            for name, data in content.items():
                add(tar, name, data)
        return zstd.compress(plain.getvalue())

    def _held(self, copy: bytes) -> Directory:
        """The directory in an archive."""
        with tarfile.open(fileobj=io.BytesIO(zstd.decompress(copy))) as tar:
            which = tar.extractfile(WHICH)
            assert which
            return self._directories[int(which.read())]

    def _receive(self, machine: Machine, content: bytes | None, sha256: str) -> Output:
        machine.staged = None
        assert content is not None
        if hashlib.sha256(content).hexdigest() != sha256:
            return Output(b"", "copy: FAILED", 1)
        machine.staged = content
        return DONE

    def _swap(self, machine: Machine, part: str, mark: str, _opened: str) -> Output:
        if machine.staged is None:
            return Output(b"", "no such file", 1)
        held = self._held(machine.staged)
        self._keep_former(machine)
        whole = part == swarm_directory.WHOLE
        raft = held.raft if whole else None
        machine.directory = Directory(held.node_id, held.cluster_id, raft, placed=mark, engine_state=False)
        machine.staged = None
        return DONE

    def _exchange(self, machine: Machine) -> Output:
        if machine.staged is None:
            return Output(b"", "no such file", 1)
        held = self._held(machine.staged)
        self._keep_former(machine)
        machine.directory = replace(held, repaired=machine.note, engine_state=False)
        machine.staged = None
        return DONE

    @staticmethod
    def _note(machine: Machine, content: bytes) -> Output:
        machine.note = content.decode().strip()
        return DONE

    @staticmethod
    def _forced(machine: Machine) -> Output:
        if machine.directory:
            machine.directory = replace(machine.directory, repaired="")
        return DONE

    def _discard(self, machine: Machine) -> Output:
        machine.staged = None
        return DONE

    def _set_aside(self, machine: Machine) -> Output:
        self._keep_former(machine)
        machine.directory = None
        return DONE

    @staticmethod
    def _keep_former(machine: Machine) -> None:
        if machine.directory:
            machine.former = (*machine.former, datetime.now(UTC).timestamp() - 2)  # a recovery takes longer than here

    @staticmethod
    def _remove_former(machine: Machine, before: float) -> Output:
        machine.former = tuple(at for at in machine.former if at >= before)
        return DONE

    def _restart(self, machine: Machine) -> Output:
        self._wires.swarm.restart(machine)
        return DONE

    @staticmethod
    def _detour(machine: Machine, port: str, *addresses: str) -> Output:
        machine.detours = dict(zip(addresses[::2], addresses[1::2], strict=True))
        return DONE

    def _proven(self, machine: Machine) -> Output:
        if machine.directory:
            machine.directory = Directory(**{**vars(machine.directory), "placed": ""})
        return DONE


def _told(found: dict[str, Any] | list[str]) -> Output:
    return Output(json.dumps(found).encode(), "", 0)


def _measured(content: bytes) -> dict[str, Any]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _taken(copy: bytes) -> dict[str, Any]:
    content = archive.read(io.BytesIO(zstd.decompress(copy)), damaged=True)
    return {
        "folder": FOLDER,
        "files": [[entry.path, entry.size, entry.sha256] for entry in content.files],
        "certificate": content.certificate.decode(),
        "locked_key": None,
        "ca": content.ca.decode(),
        "ca_sha256": hashlib.sha256(content.ca).hexdigest(),
        "position": [content.position.term, content.position.index, content.position.commit],
        "raw_bytes": 128_000_000,
        "stopped_seconds": 0.0,
        **_measured(copy),
    }


def _proof(directory: Directory) -> dict[str, Any]:
    """The result of a restore test. A forced new cluster drops entries beyond the commit index, and adds its own."""
    assert directory.raft
    state = next(entry.state for entry in reversed(directory.raft.log) if entry.index <= directory.raft.commit)
    return {
        "cluster_id": state.cluster_id,
        "node_id": directory.node_id,
        "engine": "fake",
        "version_index": directory.raft.commit + OWN_ENTRIES,
        "inventory": {"nodes": sorted(state.nodes), "configs": sorted(state.configs)},
        "seconds": 1.0,
        "recovery_seconds": 0.5,
    }
