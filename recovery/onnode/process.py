"""Processes that a stream runs through, on the node and in its containers.

What runs in a container bears a mark in its environment, by which all of it is found and killed: docker ends a command
with its client only in that the command's streams end.
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
"""The variable whose value is the mark."""
START_SECONDS = 30.0
POLL = 0.02
LOOKS = 3
TAIL = 2000
"""Bytes of a command's error output that are told."""
BLOCK = 1 << 16


class Failed(Exception):
    """The service's command, or what packs or seals its stream, did not do its part."""


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
        """Its exit status, once it has ended. Raises: Failed where that is none of the fine ones."""
        status = self.popen.wait()
        if status not in self.fine:
            self.listening.join(timeout=1.0)
            said = self.said.decode(errors="replace").strip() or "no message"
            raise Failed(f"{self.what} ended with exit status {status}: {said}")
        return status


@contextmanager
def running(argv: Sequence[str], mark: str = "", *, fine: tuple[int, ...] = (0,), **streams: Any) -> Iterator[Process]:
    """A process for as long as the context is; what still runs then is killed, also in the container."""
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
    """Raises: Failed when the command does not show up: it could not be told that its stream broke off."""
    until(
        lambda: process.popen.poll() is not None or any(_marked(mark)),
        START_SECONDS,
        pause=POLL,
        otherwise=lambda _: Failed(f"the command did not start within {START_SECONDS:.0f} s"),
    )


def kill(mark: str) -> None:
    """Kill everything that bears the mark, where there is one, and what that starts meanwhile.

    A process that is about to run another program bears none for a moment, so it takes several looks to have gone.
    """
    end = time.monotonic() + START_SECONDS
    unseen = 0
    while mark and unseen < LOOKS and time.monotonic() < end:
        found = list(_marked(mark))
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        unseen = 0 if found else unseen + 1
        time.sleep(POLL)


def _marked(mark: str) -> Iterator[int]:
    entry = f"{MARK}={mark}".encode()
    for folder in PROCESSES.iterdir():
        with suppress(OSError):  # it has ended
            if folder.name.isdigit() and entry in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def blocks(source: Any) -> Iterator[bytes]:
    """What a pipe gives, as it comes."""
    return iter(partial(source.read1, BLOCK), b"")
