"""Which lab a process has: the first that no other process has, until it ends, however it ends."""

import fcntl
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from lab.errors import LabError

_HELD: list[IO[str]] = []
"""Open files: their locks are gone with the process, also with one that is killed."""


def claim(labs: Sequence[int], folder: Path) -> int:
    """The first of these labs that is free. Raises: LabError when none is."""
    for octet in labs:
        lock = (folder / f"requorum-lab-{octet}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _HELD.append(lock)
        return octet
    taken = ", ".join(map(str, labs))
    raise LabError(
        "choosing a lab", f"other processes test on labs {taken}", "Wait until another `make test` has ended"
    )
