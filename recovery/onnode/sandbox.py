"""Restores a copy as in a disaster, in a sandbox on the node, and reads the swarm back through a second engine.

The sandbox has namespaces of its own for network, processes, mounts, IPC and host name, and a containerd of its own. Its
network holds only the manager's original address. Its files are in memory, and it sees nothing of the node but programs
(`recovery.onnode.confined`). So it touches neither the node's engine nor its disk. When its first process ends, all of the
sandbox disappears. systemd limits its memory and gives it the least share of the processors. Its time is limited too. Only
one sandbox runs at a time on a node. Otherwise two would count on the same free memory.
"""

import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from recovery.onnode import api, archive, confined, copying
from recovery.waiting import until

SECONDS = 60
"""The limit of a whole restore test.

It takes 1 or 2 s if the engine campaigns at once, as 20.10 and 28 do. Engine 26.1 does not campaign while its log holds
membership changes. It waits 10 to 20 s more for an election.
"""
LOCK = Path("/run/requorum-proof.lock")
"""The lock of this node's restore tests. The file names the process that holds it."""
LOCK_SECONDS = 180.0
"""How long a restore test waits for others on this node. Three of them fit."""
ENGINE_BYTES = 300 << 20
"""Memory for an engine and its caches, in addition to the files."""
SEGMENT_BYTES = 64 << 20
"""The log's next segment, which the engine makes when it starts (etcd, server/storage/wal: SegmentSizeBytes)."""
SPARE_BYTES = 32 << 20
ROOT = Path("/mnt")
"""On the node, where the root of the sandbox is put together. All other paths are in the sandbox."""
COPY = Path("/copy")
DATA = Path("/data")
SOCKET = Path("/engine.sock")
LOG = Path("/log")
CONFIG = Path("/daemon.json")
"""An empty configuration, because that of the node's engine does not apply in the sandbox."""
UNPACK = 'set -o pipefail; zstd -q -dc "$1" | tar --sparse -xpf - -C "$2" swarm'
AT_FAULT = 3
"""The exit status of this program if the copy is damaged."""
KILLED = (137, -9)
LOGGED = re.compile(r'level=panic msg="((?:[^"\\]|\\.)*)"')
"""The engine's last message if its logger panics: Go then prints `panic: (*logrus.Entry) 0x…`, which tells nothing."""
POLL = 0.02
START_SECONDS = 30.0
DOCKERD = (
    "dockerd", f"--data-root={DATA}", "--exec-root=/exec", "--pidfile=/pid", f"--host=unix://{SOCKET}",
    "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--storage-driver=vfs",
    f"--config-file={CONFIG}",
)  # fmt: skip


class Failed(Exception):
    """No swarm started from the copy."""


class Unable(Exception):
    """The sandbox could not be made. This error says nothing about the copy."""


def prove(program: str, copy: Path, address: str, unpacked: int, key: bytes) -> dict[str, Any]:
    """Restore ``copy``, an archive on this node, at ``address`` in a sandbox. Returns what the restored swarm holds.

    The archive unpacks to ``unpacked`` bytes. ``key`` is the opened key file, if the one in the copy needs the unlock
    key. ``program`` is the file of this program, which also runs in the sandbox. Raises: Failed; Unable.
    """
    with _alone() as lock:
        return _prove(program, copy, address, unpacked + SEGMENT_BYTES + SPARE_BYTES, key, lock)


@contextmanager
def _alone() -> Iterator[IO[str]]:
    """Wait for the lock of this node's restore tests, and hold it. Raises: Unable, which names the present holder."""
    with LOCK.open("a+") as lock:
        until(lambda: _locks(lock), LOCK_SECONDS, pause=POLL, otherwise=lambda _: _busy(lock))
        lock.truncate(0)
        client = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
        lock.write(f"{f'somebody from {client}' if client else 'the agent'} (process {os.getpid()})")
        lock.flush()
        yield lock


def _locks(lock: IO[str]) -> bool:
    """Take the lock if it is free; whether it is ours."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy(lock: IO[str]) -> Unable:
    """Whose lock it still is."""
    lock.seek(0)
    return Unable(f"{lock.read()} still proves a copy here after {LOCK_SECONDS:.0f} s")


def _prove(program: str, copy: Path, address: str, size: int, key: bytes, lock: IO[str]) -> dict[str, Any]:
    """Run `inside` in the namespaces, with ``size`` bytes of memory for files.

    The processes of the sandbox hold the lock, even if this process is gone.
    """
    limit = size + ENGINE_BYTES
    if (free := _available()) < limit:
        raise Unable(f"the node has {free >> 20} MiB of memory to spare, and {limit >> 20} MiB are needed")
    start = time.monotonic()
    with Path(program).open("rb") as file:  # the program may have no other name than one of this process
        argv = [
            "timeout", "--signal=KILL", str(SECONDS),
            "systemd-run", "--scope", "--quiet", "--collect", f"--property=MemoryMax={limit}", "--property=CPUWeight=5",
            "unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc",
            sys.executable, f"/proc/self/fd/{file.fileno()}", "inside",
            json.dumps({"copy": str(copy), "address": address, "size": size}),
        ]  # fmt: skip
        done = subprocess.run(argv, input=key, capture_output=True, pass_fds=(lock.fileno(), file.fileno()))
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        if done.returncode == AT_FAULT:
            raise Failed(message[0])
        raise Unable(f"no end within {SECONDS} s, or not enough memory" if done.returncode in KILLED else message[0])
    result: dict[str, Any] = json.loads(done.stdout)
    return {**result, "seconds": round(time.monotonic() - start, 3)}


def inside(copy: Path, address: str, size: int, key: bytes) -> dict[str, Any]:
    """Restore the copy inside the sandbox's namespaces. Returns what the restored swarm holds.

    Raises: Failed; Unable, also if the kernel kills the engine; Unfit; OSError.
    """
    try:
        confined.enter(ROOT, copy, size)
    except confined.Unconfined as error:
        raise Unable(str(error)) from None
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "requorum0", "type", "bridge")  # not every kernel has dummy links
    _run("ip", "link", "set", "requorum0", "up")
    # Without an address prefix it is one address alone; nobody is there who could have the same IPv6 address.
    _run("ip", "address", "add", address, "dev", "requorum0", *(["nodad"] if ":" in address else []))
    CONFIG.write_text("{}")
    with LOG.open("wb") as log:
        engine = subprocess.Popen(confined.engine(*DOCKERD), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _until_up(engine)
        start = time.monotonic()
        _unpack(COPY, key)
        wanted = {
            "ForceNewCluster": True,
            "ListenAddr": f"[{address}]:2377" if ":" in address else f"{address}:2377",
            "AdvertiseAddr": address,
        }
        _ask("POST", "/swarm/init", wanted, seconds=SECONDS)  # the engine answers after the election
        return {**_inventory(), "recovery_seconds": round(time.monotonic() - start, 3)}
    except (OSError, http.client.HTTPException) as error:
        if not _ends(engine):
            raise Unable(f"the sandbox's engine did not answer: {error}") from None
        if engine.returncode == -signal.SIGKILL:
            raise Unable(
                f"the sandbox's engine was killed, for want of memory: {size + ENGINE_BYTES >> 20} MiB were allowed"
            ) from None
        raise Failed(f"the engine broke down over it: {_last_words()}") from None
    finally:
        engine.kill()


def _unpack(copy: Path, key: bytes) -> None:
    """Unpack the copy into the engine's data. Reads it whole first, so that no unsuitable archive is unpacked."""
    copying.read(copy)
    shutil.rmtree(DATA / "swarm", ignore_errors=True)
    try:
        _run("bash", "-c", UNPACK, "unpack", str(copy), str(DATA))
    except Unable as error:
        raise Failed(str(error)) from None
    if key:
        (DATA / archive.KEY).write_bytes(key)


def _inventory() -> dict[str, Any]:
    """Read the same inventory as `recovery.node.engine.Engine.inventory`, and the IDs of cluster and node."""
    kinds = {kind: _ask("GET", path) for kind, path in api.KINDS.items()}
    swarm, info = _ask("GET", "/swarm"), _ask("GET", "/info")
    versions = [entry["Version"]["Index"] for entries in kinds.values() for entry in entries if "Version" in entry]
    return {
        "cluster_id": swarm["ID"],
        "node_id": info["Swarm"]["NodeID"],
        "engine": info["ServerVersion"],
        "version_index": max([*versions, swarm["Version"]["Index"]]),
        "inventory": {
            kind: sorted(entry.get("ID") or entry["Id"] for entry in entries) for kind, entries in kinds.items()
        },
    }


def _until_up(engine: "subprocess.Popen[bytes]") -> None:
    """Raises: Unable when the engine ends or does not answer in time; Failed when it refuses."""
    if not until(_answers, START_SECONDS, holds=lambda up: up or engine.poll() is not None, pause=POLL):
        raise Unable(f"the sandbox's engine did not start: {_last_words()}")


def _answers() -> bool:
    """Whether the sandbox's engine answers. Raises: Failed when it refuses."""
    try:
        _ask("GET", "/_ping")
    except OSError:
        return False
    return True


def _ask(method: str, path: str, body: Any = None, *, seconds: float = api.REQUEST_SECONDS) -> Any:
    try:
        return api.ask(SOCKET, method, path, body, seconds=seconds)
    except api.Refused as error:
        raise Failed(str(error)) from None


def _ends(engine: "subprocess.Popen[bytes]") -> bool:
    try:
        engine.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        return False
    return True


def _last_words() -> str:
    """The last message of the engine, without the trace of a panic. A panic of its logger names only where the message was."""
    lines = LOG.read_text(errors="replace").strip().splitlines()
    panics = [line for line in lines if line.startswith(("panic:", "fatal error:"))]
    logged = [found[1] for line in lines if (found := LOGGED.search(line))]
    return [*lines[-1:], *panics[:1], *logged[:1]][-1] if lines else "it said nothing"


def _available() -> int:
    """Bytes of memory that a new process can use without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True)
    if done.returncode:
        raise Unable(f"{argv[0]}: {done.stderr.decode(errors='replace').strip() or done.returncode}")
