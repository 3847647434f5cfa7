"""What a manager keeps and tells of when it saw a quorum. The watch writes it on the node, and each round stores it in S3.

It is one small object for each manager. A round joins what is there with what the node knows, because a machine that was
made again knows nothing of before.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from recovery.swarm import history
from recovery.swarm.history import History
from recovery.whole_file import write_whole

if TYPE_CHECKING:
    from recovery.s3.store import Store

SEEN, TOLD = "seen.json", "history.json"
"""What the watch writes, and what the last round knew."""
LONGEST = 180.0
"""The longest time between two looks of one watch. In a longer one, nobody watched: the machine was off."""
WRITES = 300.0
"""How often the watch writes what did not change."""
TELLS = 1800.0
"""How often a round asks S3. Rounds follow each change of the swarm, and are many."""


class Diary:
    """What the watch sees, in a file."""

    def __init__(self, file: Path) -> None:
        self._file, self._seen = file, read(file)
        self._last: tuple[float, bool] | None = None
        self._written = 0.0

    def note(self, *, quorum: bool, now: float | None = None) -> None:
        """Note a look at the swarm. Raises: OSError."""
        at, last = time() if now is None else now, self._last
        self._last = (at, quorum)
        if last and 0 < at - last[0] <= LONGEST:
            span = (int(last[0]), int(at))
            seen = History((span,), () if quorum and last[1] else (span,))
            self._seen = self._seen.joined(seen)
        if last is None or quorum != last[1] or not 0 <= at - self._written < WRITES:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._file, as_json(self._seen))
            self._written = at


def tell(store: Store, key: str, folder: Path, proven: float) -> None:
    """Store what the node knows, and what S3 knows already, if that was not done just now. Raises: StoreError, OSError."""
    with suppress(FileNotFoundError):
        if 0 <= time() - (folder / TOLD).stat().st_mtime < TELLS:
            return
    copies = History(proven=(int(proven),) if proven else ())
    known = read(folder / TOLD).joined(read(folder / SEEN)).joined(copies)
    there = [history.read(content) for _, content in store.looks(key)]  # each site may have a part that the other lacks
    whole = reduce(History.joined, there, known).until(int(time()))
    if there[:1] != [whole]:
        store.put(key, as_json(whole))
    write_whole(folder / TOLD, as_json(whole))


def as_json(told: History) -> bytes:
    """A history as it is stored."""
    return json.dumps(asdict(told), separators=(",", ":")).encode()


def read(file: Path) -> History:
    """The history in a file; an empty one if there is none."""
    with suppress(OSError):
        return history.read(file.read_bytes())
    return History()
