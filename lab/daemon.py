"""A background process known by its pid file, and proven to be ours before it is touched."""

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
"""How long one that runs may take to answer there: it is ended where it does not."""
_KILLED_SECONDS = 60.0
"""How long the kernel may take to clear away what was killed."""


@dataclass(frozen=True)
class Daemon:
    """A process that outlives the shell that started it.

    ``marker`` is an argument no other process carries (a path of the instance): a pid file
    left by a killed process is not believed without it.
    """

    name: str
    pid_file: Path
    log: Path
    marker: str

    def pid(self) -> int | None:
        """Process id when it runs and is ours, else None."""
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
        """Start ``argv`` in a session of its own and return when ``ready`` says so.

        Secrets go in ``environment``, which is added to this process's own.
        Raises LabError, with the end of the log, when it ends early or is late.
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
        """Ask it to end, kill it after ``patience`` seconds; nothing happens when it is gone."""
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
    """Terminate the processes, kill those that are still there after ``patience`` seconds."""
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
    left = max(0.0, deadline - time.monotonic())
    return bool(select.select([handle], [], [], left)[0])
