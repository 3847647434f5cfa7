"""Copies on their way to S3: each lies in a folder of its own until every site has taken it.

A folder counts once it has its name, which it gets when all of it is on the disk. The archives are sealed, and so are
unlock keys.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from recovery.copies.manifest import FORMAT, Manifest, Verdict, from_json
from recovery.errors import DamagedCopy, LocalError
from recovery.s3.keys import UNLOCK_KEY

ARCHIVE, MANIFEST, NOTE = "archive", "manifest.json", "note.json"
KEYS = "unlock-keys"
"""The folder of the sealed unlock keys that go with a copy."""
NEW = ".new"
DAMAGED = "damaged"
"""Beside the spool: the entries that were set aside, within limits like the spool's."""


@dataclass(frozen=True)
class Entry:
    """One copy that waits."""

    folder: Path
    manifest: Manifest
    fingerprint: str
    """Of what the swarm held (`recovery.agent.turn.View`)."""
    places: frozenset[str] = frozenset()
    """Which have all of it already (`recovery.agent.config.Config.places`)."""

    @property
    def archive(self) -> Path:
        """The sealed archive."""
        return self.folder / ARCHIVE

    @property
    def keys(self) -> tuple[Path, ...]:
        """Sealed unlock keys that go with it, by the name of their object."""
        return tuple(sorted((self.folder / KEYS).glob(f"*{UNLOCK_KEY}")))

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return _bytes(self.folder)

    def proves(self, fingerprint: str) -> bool:
        """Whether it is a proven copy of that."""
        return self.manifest.verdict is Verdict.PROVEN and self.fingerprint == fingerprint

    def lacking(self, places: Mapping[str, str]) -> tuple[str, ...]:
        """Which of the places, by name, do not have it."""
        return tuple(name for name, place in places.items() if place not in self.places)

    def check(self) -> None:
        """Compare what lies there with the manifest. Raises: DamagedCopy; LocalError where it cannot be read now."""
        source = f"{self.folder.name} in the spool"
        try:
            self.manifest.check_sealed(self.archive, source=source)
        except FileNotFoundError:
            raise DamagedCopy(f"verifying {source}", "its archive is missing", remedy="requorum backup") from None
        except OSError as error:
            raise _unread(self.folder, error) from None
        needed = self.manifest.key_fingerprint
        if needed and not any(key.name.startswith(f"{needed}-") for key in self.keys):
            raise DamagedCopy(f"verifying {source}", "its unlock key is missing", remedy="requorum backup")


class Spool:
    """The folder with all of them; what an earlier run left half is removed, and what is torn is set aside."""

    def __init__(self, folder: Path, *, copies: int, size: int) -> None:
        self._folder, self._copies, self._size = folder, copies, size
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for half in folder.glob(f"*{NEW}"):
            shutil.rmtree(half, ignore_errors=True)
        torn = [(found, why) for found, why in self._found() if isinstance(why, DamagedCopy)]
        self.torn = tuple(why for _, why in torn)
        """Why something was set aside as it was opened."""
        for found, _ in torn:
            self.set_aside(found)

    @contextmanager
    def adding(self, name: str) -> Iterator[Path]:
        """A folder to lay a copy into; gone again when that fails. Raises: OSError."""
        made = self._folder / (name + NEW)
        made.mkdir(mode=0o700)
        (made / KEYS).mkdir()
        try:
            yield made
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise

    def add(self, made: Path, manifest: Manifest, fingerprint: str) -> Entry:
        """Have the copy in a folder of `adding` count. Older ones make room for it. Raises: OSError."""
        entry = Entry(made.with_suffix(""), manifest, fingerprint)
        (made / NOTE).write_bytes(_noted(entry))
        (made / MANIFEST).write_bytes(manifest.to_json())
        for path in (*made.rglob("*"), made):
            _sync(path)
        made.rename(entry.folder)
        _sync(self._folder)
        for old in superfluous(self.entries(), self._copies, self._size):
            self.remove(old)
        return entry

    def entries(self) -> tuple[Entry, ...]:
        """All that wait, newest first; without those that are `unread`."""
        found = (entry for _, entry in self._found() if isinstance(entry, Entry))
        return tuple(sorted(found, key=lambda entry: entry.manifest.taken, reverse=True))

    @property
    def unread(self) -> tuple[LocalError, ...]:
        """What cannot be read now, and may be whole: it stays where it is."""
        return tuple(entry for _, entry in self._found() if isinstance(entry, LocalError))

    def note(self, entry: Entry) -> None:
        """Remember which places have it. Raises: OSError."""
        part = entry.folder / (NOTE + NEW)
        part.write_bytes(_noted(entry))
        _sync(part)
        part.replace(entry.folder / NOTE)

    def remove(self, entry: Entry) -> None:
        """Every place has it, or it must make room. Raises: OSError."""
        gone = entry.folder.rename(entry.folder.with_suffix(NEW))  # at once: a part of it would pass for a damaged one
        shutil.rmtree(gone, ignore_errors=True)

    def set_aside(self, folder: Path) -> None:
        """It is of no use, and must not keep the others: it lies beside the spool, and older ones make room. Raises: OSError."""
        aside = self._folder.with_name(DAMAGED)
        aside.mkdir(mode=0o700, exist_ok=True)
        folder.rename(aside / folder.name)
        kept, room = 0, self._size
        for found in sorted(aside.iterdir(), reverse=True):
            kept, room = kept + 1, room - _bytes(found)
            if kept > self._copies or (room < 0 and kept > 1):
                shutil.rmtree(found, ignore_errors=True)

    def _found(self) -> Iterator[tuple[Path, Entry | DamagedCopy | LocalError]]:
        """Each folder, with what it is."""
        for folder in sorted(self._folder.iterdir()):
            try:
                yield folder, _entry(folder)
            except (DamagedCopy, LocalError) as error:
                yield folder, error


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


def stored_at(entry: Entry, place: str) -> Entry:
    """The entry once a place has it."""
    return replace(entry, places=entry.places | {place})


def _entry(folder: Path) -> Entry:
    """Raises: DamagedCopy where it is torn; LocalError where it cannot be read now, and may be whole."""
    try:
        note, text = json.loads((folder / NOTE).read_bytes()), (folder / MANIFEST).read_bytes()
        if (made := int(json.loads(text)["format"])) != FORMAT:
            why = f"its manifest has format {made}, and this release reads {FORMAT}: it stays there"
            remedy = f"pulumi up with the release that took it; or, to give it up, rm -r {folder}"
            raise LocalError(_opening(folder), why, remedy=remedy)
        manifest = from_json(text, source=folder.name)
        return Entry(folder, manifest, str(note["fingerprint"]), frozenset(note["places"]))
    except (FileNotFoundError, NotADirectoryError, DamagedCopy, ValueError, TypeError, KeyError):
        raise DamagedCopy(_opening(folder), "it is torn", remedy="requorum backup") from None
    except OSError as error:
        raise _unread(folder, error) from None


def _unread(folder: Path, error: OSError) -> LocalError:
    return LocalError(_opening(folder), f"{error.strerror}: it stays there", remedy=f"ls -lR {folder}; journalctl -k")


def _opening(folder: Path) -> str:
    return f"opening {folder.name} in the spool"


def _bytes(folder: Path) -> int:
    """What a folder takes of the disk."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _noted(entry: Entry) -> bytes:
    return json.dumps({"fingerprint": entry.fingerprint, "places": sorted(entry.places)}).encode()


def _sync(path: Path) -> None:
    """Have a file or folder on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
