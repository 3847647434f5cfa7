"""Runs the processes of a stream, on the node and in its containers.

Processes in a container have a marker in their environment, by which `kill` finds them. If docker's client ends, docker
only ends the streams of the command, and the command may continue.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

from recovery.waiting import until

PROCESSES = Path("/proc")
MARK = "REQUORUM_DATA"
"""The environment variable whose value is the marker."""
START_SECONDS = 30.0
POLL = 0.02
LOOKS = 3
TAIL = 2000
"""Bytes of a command's error output that a message shows."""
BLOCK = 1 << 16
NOT_RUN = {126: "it cannot be run", 127: "there is no such program"}
"""What docker's and a shell's exit statuses mean, because older engines give no message."""


class Failed(Exception):
    """The command of the service failed, or a process that packs or seals its stream."""


@dataclass
class Process:
    """A process, and the end of its error output."""

    popen: "subprocess.Popen[bytes]"
    what: str
    fine: tuple[int, ...]
    said: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.listening = Thread(target=self._listen, daemon=True)
        self.listening.start()

    def _listen(self) -> None:
        for block in blocks(self.popen.stderr):
            self.said += block
            del self.said[:-TAIL]

    def require(self) -> int:
        """Wait for the end of the process. Returns its exit status. Raises: Failed if the status is not in ``fine``."""
        status = self.popen.wait()
        if status not in self.fine:
            self.listening.join(timeout=1.0)
            message = self.said.decode(errors="replace").strip() or NOT_RUN.get(status, "no message")
            raise Failed(f"{self.what} ended with exit status {status}: {message}")
        return status


@contextmanager
def running(argv: Sequence[str], mark: str = "", *, fine: tuple[int, ...] = (0,), **streams: Any) -> Iterator[Process]:
    """Run a process for the duration of the context, then kill what still runs, also in the container."""
    popen = subprocess.Popen(argv, stderr=subprocess.PIPE, **streams)
    process = Process(popen, argv[0] if not mark else "the command", fine)
    try:
        yield process
    except BaseException:
        kill(mark)
        raise
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait()
        process.listening.join()
        for stream in (popen.stdin, popen.stdout, popen.stderr):
            with suppress(OSError):
                if stream:
                    stream.close()


def until_started(process: Process, mark: str) -> None:
    """Wait until the command runs in the container.

    Raises: Failed if it does not start, because `kill` could not find it if the stream broke.
    """
    until(
        lambda: process.popen.poll() is not None or any(_marked(mark)),
        START_SECONDS,
        pause=POLL,
        otherwise=lambda _: Failed(f"the command did not start within {START_SECONDS:.0f} s"),
    )


def kill(mark: str) -> None:
    """Kill every process with the marker, and the processes that they start meanwhile. Without a marker, do nothing.

    A process that is about to run another program has no marker for a moment. So several searches must find none.
    """
    end = time.monotonic() + START_SECONDS
    unseen = 0
    while mark and unseen < LOOKS and time.monotonic() < end:
        processes = list(_marked(mark))
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        unseen = 0 if processes else unseen + 1
        time.sleep(POLL)


def _marked(mark: str) -> Iterator[int]:
    entry = f"{MARK}={mark}".encode()
    for folder in PROCESSES.iterdir():
        with suppress(OSError):  # the process has ended
            if folder.name.isdigit() and entry in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def blocks(source: Any) -> Iterator[bytes]:
    """Yield the content of a pipe as it arrives."""
    return iter(partial(source.read1, BLOCK), b"")
