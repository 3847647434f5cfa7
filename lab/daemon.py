"""Runs a background process with a pid file, and checks that the process belongs to the lab before it acts on it."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

_POLL_SECONDS = 0.02
_LOG_TAIL = 1500
READY_SECONDS = 180.0
"""How long a process may take to start, also on a machine that is slow or busy."""
ANSWER_SECONDS = 30.0
"""How long a running process may take to answer on such a machine. After that, the lab ends the process."""
_KILLED_SECONDS = 60.0
"""How long the kernel may take to remove a killed process."""


@dataclass(frozen=True)
class Daemon:
    """A process that outlives the shell that started it.

    ``marker`` is an argument that no other process has (a path of the instance). Without it, the pid file of a killed
    process does not count.
    """

    name: str
    pid_file: Path
    log: Path
    marker: str

    def pid(self) -> int | None:
        """The process ID if the process runs and has the marker, otherwise None."""
        try:
            pid = int(self.pid_file.read_text())
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return pid if self.marker.encode() in arguments else None

    def start(
        self,
        argv: Sequence[str | Path],
        *,
        ready: Callable[[], bool],
        timeout: float = READY_SECONDS,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start ``argv`` in a new session, and return when ``ready`` returns true.

        ``environment`` is added to the environment of this process. Pass secrets there. Raises: LabError, with the end
        of the log, if the process ends early or takes too long.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
                cwd="/",
            )
        self.pid_file.write_text(f"{process.pid}\n")
        deadline = time.monotonic() + timeout
        while not ready():
            if process.poll() is not None:
                raise self._failed(f"it ended with {process.returncode}")
            if time.monotonic() > deadline:
                raise self._failed(f"it was not ready after {timeout:.0f} s")
            time.sleep(_POLL_SECONDS)

    def stop(self, patience: float = 10.0) -> None:
        """Ask the process to end, and kill it after ``patience`` seconds. Without a process, do nothing."""
        pid = self.pid()
        if pid is not None:
            end([pid], patience)
        self.pid_file.unlink(missing_ok=True)

    def _failed(self, why: str) -> LabError:
        tail = self.log.read_text(errors="replace").strip()[-_LOG_TAIL:]
        return LabError(
            f"starting {self.name}",
            why,
            f"`python -m lab down` clears what is left. The whole log is {self.log}; it ends with:\n{tail}",
        )


def end(pids: Sequence[int], patience: float) -> None:
    """Terminate the processes. After ``patience`` seconds, kill those that still run."""
    handles = []
    for pid in pids:
        with suppress(ProcessLookupError):
            handles.append(os.pidfd_open(pid))
    try:
        for number, limit in ((signal.SIGTERM, patience), (signal.SIGKILL, _KILLED_SECONDS)):
            for handle in handles:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
            deadline = time.monotonic() + limit
            if all(_ended(handle, deadline) for handle in handles):
                break
    finally:
        for handle in handles:
            os.close(handle)
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _ended(handle: int, deadline: float) -> bool:
    remaining = max(0.0, deadline - time.monotonic())
    return bool(select.select([handle], [], [], remaining)[0])
