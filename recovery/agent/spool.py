"""The spool: copies on their way to S3. Each has its own folder until every site has stored it.

A folder is valid as soon as it has its final name, which it gets when all its files are on the disk. The archives and
the unlock keys are sealed.
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
"""The folder next to the spool for damaged entries, with the same limits as the spool."""


@dataclass(frozen=True)
class Entry:
    """One waiting copy."""

    folder: Path
    manifest: Manifest
    fingerprint: str
    """The fingerprint of the state that the swarm had (`recovery.agent.order.View`)."""
    places: frozenset[str] = frozenset()
    """The places that have all of the copy already (`recovery.agent.config.Config.places`)."""

    @property
    def archive(self) -> Path:
        """The sealed archive."""
        return self.folder / ARCHIVE

    @property
    def keys(self) -> tuple[Path, ...]:
        """The sealed unlock keys of the copy. Each file has the name of its object in S3."""
        return tuple(sorted((self.folder / KEYS).glob(f"*{UNLOCK_KEY}")))

    @property
    def size(self) -> int:
        """The size on the disk, in bytes."""
        return _bytes(self.folder)

    def proves(self, fingerprint: str) -> bool:
        """Whether the copy is a proven copy of the state with this fingerprint."""
        return self.manifest.verdict is Verdict.PROVEN and self.fingerprint == fingerprint

    def lacking(self, places: Mapping[str, str]) -> tuple[str, ...]:
        """The names of the places that do not have the copy."""
        return tuple(name for name, place in places.items() if place not in self.places)

    def check(self) -> None:
        """Compare the files with the manifest. Raises: DamagedCopy; LocalError if they cannot be read now."""
        source = f"{self.folder.name} in the spool"
        doing, remedy = f"verifying {source}", "requorum copies take"
        try:
            self.manifest.check_sealed(self.archive, source=source)
        except FileNotFoundError:
            raise DamagedCopy(doing, "its archive is missing", remedy=remedy, code="copy-damaged") from None
        except OSError as error:
            raise _unread(self.folder, error) from None
        needed = self.manifest.key_fingerprint
        if needed and not any(key.name.startswith(f"{needed}-") for key in self.keys):
            raise DamagedCopy(doing, "its unlock key is missing", remedy=remedy, code="copy-damaged")


class Spool:
    """The folder of all waiting copies. Opening it removes unfinished entries and moves damaged ones aside."""

    def __init__(self, folder: Path, *, copies: int, size: int) -> None:
        self._folder, self._copies, self._size = folder, copies, size
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for half in folder.glob(f"*{NEW}"):
            shutil.rmtree(half, ignore_errors=True)
        torn = [(path, why) for path, why in self._found() if isinstance(why, DamagedCopy)]
        self.torn = tuple(why for _, why in torn)
        """Why entries were moved aside when the spool was opened."""
        for path, _ in torn:
            self.set_aside(path)

    @contextmanager
    def adding(self, name: str) -> Iterator[Path]:
        """A folder for a new copy. It is removed if the context fails. Raises: OSError."""
        folder = self._folder / (name + NEW)
        folder.mkdir(mode=0o700)
        (folder / KEYS).mkdir()
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def add(self, folder: Path, manifest: Manifest, fingerprint: str) -> Entry:
        """Make the copy in a folder of `adding` valid. The oldest copies make room for it. Raises: OSError."""
        entry = Entry(folder.with_suffix(""), manifest, fingerprint)
        (folder / NOTE).write_bytes(_noted(entry))
        (folder / MANIFEST).write_bytes(manifest.to_json())
        for path in (*folder.rglob("*"), folder):
            _sync(path)
        folder.rename(entry.folder)
        _sync(self._folder)
        for old in superfluous(self.entries(), self._copies, self._size):
            self.remove(old)
        return entry

    def entries(self) -> tuple[Entry, ...]:
        """All waiting copies, newest first, without those that are `unread`."""
        waiting = (entry for _, entry in self._found() if isinstance(entry, Entry))
        return tuple(sorted(waiting, key=lambda entry: entry.manifest.taken, reverse=True))

    @property
    def unread(self) -> tuple[LocalError, ...]:
        """The entries that cannot be read now. They may be undamaged, so they stay."""
        return tuple(entry for _, entry in self._found() if isinstance(entry, LocalError))

    def note(self, entry: Entry) -> None:
        """Record which places have the copy. Raises: OSError."""
        part = entry.folder / (NOTE + NEW)
        part.write_bytes(_noted(entry))
        _sync(part)
        part.replace(entry.folder / NOTE)

    def remove(self, entry: Entry) -> None:
        """Remove an entry. Raises: OSError."""
        old = entry.folder.rename(entry.folder.with_suffix(NEW))  # a half removed entry would look like a damaged one
        shutil.rmtree(old, ignore_errors=True)

    def set_aside(self, folder: Path) -> None:
        """Move a damaged entry out of the spool, so that it does not block others.

        The oldest damaged entries make room. Raises: OSError.
        """
        aside = self._folder.with_name(DAMAGED)
        aside.mkdir(mode=0o700, exist_ok=True)
        folder.rename(aside / folder.name)
        count, room = 0, self._size
        for path in sorted(aside.iterdir(), reverse=True):
            count, room = count + 1, room - _bytes(path)
            if count > self._copies or (room < 0 and count > 1):
                shutil.rmtree(path, ignore_errors=True)

    def _found(self) -> Iterator[tuple[Path, Entry | DamagedCopy | LocalError]]:
        """Each folder with its entry, or with its fault."""
        for folder in sorted(self._folder.iterdir()):
            try:
                yield folder, _entry(folder)
            except (DamagedCopy, LocalError) as error:
                yield folder, error


def superfluous(entries: tuple[Entry, ...], copies: int, size: int) -> tuple[Entry, ...]:
    """The oldest entries beyond the limits. ``entries`` are newest first. The newest proven one always stays."""
    proven = next((entry for entry in entries if entry.manifest.verdict is Verdict.PROVEN), None)
    count, room = 0, size
    surplus = []
    for entry in entries:
        count, room = count + 1, room - entry.size
        if (count > copies or room < 0) and entry is not proven:
            surplus.append(entry)
    return tuple(surplus)


def stored_at(entry: Entry, place: str) -> Entry:
    """The entry after a place stored its copy."""
    return replace(entry, places=entry.places | {place})


def _entry(folder: Path) -> Entry:
    """The entry in a folder. Raises: DamagedCopy; LocalError if it cannot be read now and may be undamaged."""
    try:
        note, text = json.loads((folder / NOTE).read_bytes()), (folder / MANIFEST).read_bytes()
        if (version := int(json.loads(text)["format"])) != FORMAT:
            why = f"its manifest has format {version}, but this release reads format {FORMAT}. The copy stays in the spool"
            remedy = f"pulumi up with the release that took it; to give it up: rm -r {folder}"
            raise LocalError(_opening(folder), why, remedy=remedy, code="unknown-format")
        manifest = from_json(text, source=folder.name)
        return Entry(folder, manifest, str(note["fingerprint"]), frozenset(note["places"]))
    except (FileNotFoundError, NotADirectoryError, DamagedCopy, ValueError, TypeError, KeyError):
        why = "its files are incomplete or damaged"
        raise DamagedCopy(_opening(folder), why, remedy="requorum copies take", code="copy-damaged") from None
    except OSError as error:
        raise _unread(folder, error) from None


def _unread(folder: Path, error: OSError) -> LocalError:
    why = f"{error.strerror}. The copy stays in the spool"
    return LocalError(_opening(folder), why, remedy=f"ls -lR {folder}; journalctl -k", code="disk-failed")


def _opening(folder: Path) -> str:
    return f"opening {folder.name} in the spool"


def _bytes(folder: Path) -> int:
    """The size of a folder on the disk, in bytes."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _noted(entry: Entry) -> bytes:
    return json.dumps({"fingerprint": entry.fingerprint, "places": sorted(entry.places)}).encode()


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
