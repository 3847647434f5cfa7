"""Connects pulumi-docker to a manager that has a leader at this moment.

The provider of the workload has one address for the life of the cluster, and its `ssh` starts this program for each connection
(`ssh_opts`). So no change of a manager changes the provider, and a refresh does not depend on the manager of the last run.
The first connection starts a gateway (`components.gateway`), which the others use too. This module loads nothing else.
"""

import fcntl
import os
import socket
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

HOST = "ssh://requorum-swarm"
"""What the provider takes for its engine's address."""
PROGRAM = "requorum-reach"
READY = "ready"
"""What a gateway says first when its socket is there. Anything else is why there is none."""
CONNECT_SECONDS = 180
FAILURE_SECONDS = 10.0
"""For how long nobody asks again after a gateway found no manager: a refresh reads many resources at the same time."""
BLOCK = 1 << 16
FAILED = 1


def ssh_options(cluster: str, cluster_id: str) -> list[str]:
    """The options of the provider's `ssh`. It speaks with a process of its own, whose host key nobody can pin.

    They are the same on each machine: the program of the project that Pulumi runs, or the one on PATH.
    """
    options = {
        "ProxyCommand": f'"$(command -v ./bin/{PROGRAM} || echo {PROGRAM})" {cluster} {cluster_id}',
        "ConnectTimeout": str(CONNECT_SECONDS),
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
    }
    return ["-F", "none", *(part for key, value in options.items() for part in ("-o", f"{key}={value}"))]


def main() -> None:
    """Be the ProxyCommand."""
    cluster, cluster_id = sys.argv[1:]
    there = _connected(cluster, cluster_id)
    threading.Thread(target=_send, args=(there,), daemon=True).start()
    while data := there.recv(BLOCK):
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]


def _connected(cluster: str, cluster_id: str) -> socket.socket:
    """A connection to the gateway, which is started if there is none. Ends the program with the gateway's error."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "requorum-reach"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    name = sha256(f"{cluster}/{cluster_id}".encode()).hexdigest()[:12]
    path, failure = folder / f"{name}.sock", folder / f"{name}.failure"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if there := _dial(path):
            return there
        if failure.exists() and time.time() - failure.stat().st_mtime < FAILURE_SECONDS:
            _end(failure.read_text())
        gateway = subprocess.Popen(
            [sys.executable, "-m", "components.gateway", cluster, cluster_id, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        assert gateway.stdout
        said = gateway.stdout.readline()
        there = _dial(path) if said.strip() == READY else None
        if not there:
            failure.write_text(said + gateway.stdout.read())
            _end(failure.read_text())
        return there


def _dial(path: Path) -> socket.socket | None:
    there = socket.socket(socket.AF_UNIX)
    try:
        there.connect(str(path))
    except OSError:
        there.close()
        return None
    return there


def _end(why: str) -> NoReturn:
    sys.exit(why.strip())


def _send(there: socket.socket) -> None:
    """What the client sends, until it ends."""
    while data := os.read(sys.stdin.fileno(), BLOCK):
        there.sendall(data)
    there.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
