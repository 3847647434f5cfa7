"""Copies on their way to S3: each lies in a folder of its own until S3 has taken it.

A folder counts once its manifest is there, which is written last. The archives are sealed, and so are unlock keys.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recovery.errors import DamagedCopy
from recovery.keyfile import ESCROW, SUFFIX
from recovery.manifest import Manifest, Verdict, from_json

ARCHIVE, MANIFEST = "archive", "manifest.json"
NEW = ".new"


@dataclass(frozen=True)
class Entry:
    """One copy that waits."""

    folder: Path
    manifest: Manifest

    @property
    def archive(self) -> Path:
        """The sealed archive."""
        return self.folder / ARCHIVE

    @property
    def keys(self) -> tuple[Path, ...]:
        """Sealed unlock keys that go with it, by the name of their object."""
        return tuple(sorted((self.folder / ESCROW).glob(f"*{SUFFIX}")))

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())


class Spool:
    """The folder with all of them; what an earlier run left half is removed."""

    def __init__(self, folder: Path, *, copies: int, size: int) -> None:
        self._folder, self._copies, self._size = folder, copies, size
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for half in folder.glob(f"*{NEW}"):
            shutil.rmtree(half, ignore_errors=True)

    @contextmanager
    def adding(self, name: str) -> Iterator[Path]:
        """A folder to lay a copy into; gone again when that fails. Raises: OSError."""
        made = self._folder / (name + NEW)
        made.mkdir(mode=0o700)
        (made / ESCROW).mkdir()
        try:
            yield made
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise

    def add(self, made: Path, manifest: Manifest) -> Entry:
        """Have the copy in a folder of `adding` count. Older ones make room for it. Raises: OSError."""
        with (made / MANIFEST).open("wb") as file:
            file.write(manifest.to_json())
            file.flush()
            os.fsync(file.fileno())
        kept = made.with_suffix("")
        made.rename(kept)
        for entry in superfluous(self.entries(), self._copies, self._size):
            self.remove(entry)
        return Entry(kept, manifest)

    def entries(self) -> tuple[Entry, ...]:
        """All that wait, newest first."""
        found = (entry for folder in self._folder.iterdir() if (entry := _entry(folder)))
        return tuple(sorted(found, key=lambda entry: entry.manifest.taken, reverse=True))

    def remove(self, entry: Entry) -> None:
        """S3 has it, or it must make room."""
        shutil.rmtree(entry.folder, ignore_errors=True)


def superfluous(entries: tuple[Entry, ...], copies: int, size: int) -> tuple[Entry, ...]:
    """Which of the entries, newest first, are beyond the limits: the oldest; never the newest proven one."""
    proven = next((entry for entry in entries if entry.manifest.verdict is Verdict.PROVEN), None)
    kept, room = 0, size
    gone = []
    for entry in entries:
        kept, room = kept + 1, room - entry.size
        if (kept > copies or room < 0) and entry is not proven:
            gone.append(entry)
    return tuple(gone)


def _entry(folder: Path) -> Entry | None:
    try:
        return Entry(folder, from_json((folder / MANIFEST).read_bytes(), source=folder.name))
    except (OSError, DamagedCopy):
        return None
