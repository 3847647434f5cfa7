"""A copy as it lies in S3: its name and its keys.

Keys are ``PREFIX/CLUSTER/MANAGER/swarm-ENGINE-MANAGER-UTCTIME.tar.zst.age`` and, beside it and
written last, ``….manifest.json``. A tarball without a manifest is not a copy. A mark that keeps a copy from being pruned
is ``….keep.json``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from recovery.copies.manifest import Manifest
from recovery.s3.clock import SKEW
from recovery.s3.keys import ARCHIVE, DRILL, KEEP, MANIFEST

TIME = "%Y%m%dT%H%M%S%fZ"
"""UTC with microseconds, so that names sort by time."""
SHOWN = "%Y-%m-%d %H:%M:%S"


class WithTime:
    """What has a time that the clock of its node told, and one at which S3 took it."""

    key: str
    taken: datetime
    written: datetime | None

    @property
    def ahead(self) -> bool:
        """Whether it says that it was taken after S3 had it: the clock of its node was wrong."""
        return self.written is not None and self.taken - self.written > SKEW

    @property
    def dated(self) -> datetime:
        """When it was taken, as far as that can be: its age is told by this."""
        return self.written if self.written and self.ahead else self.taken

    @property
    def clock(self) -> str:
        """What is wrong with its time; empty where nothing is."""
        if not (self.ahead and self.written):
            return ""
        return f"its node's clock was ahead: taken at {self.taken:{SHOWN}}, and in S3 at {self.written:{SHOWN}}"


D = TypeVar("D", bound=WithTime)


@dataclass(frozen=True)
class Copy(WithTime):
    """One copy, known by the key of its archive."""

    key: str
    manager: str
    taken: datetime
    sites: tuple[str, ...] = field(default=(), compare=False)
    """Where all of it lies: main, second; as far as its listing tells, until a catalog has read its manifest."""
    written: datetime | None = field(default=None, compare=False)
    """When S3 took its manifest; of an archive without one, when it took that."""

    @property
    def named_by_us(self) -> bool:
        """Whether its name is one that `of` gives: other people's archives may lie beside ours."""
        return self.name.startswith("swarm-") and self.name.endswith(f"-{self.manager}-{self.taken.strftime(TIME)}")

    @property
    def owner(self) -> str:
        """Whose copies it is kept with."""
        return self.manager

    @property
    def manifest_key(self) -> str:
        """Where its manifest lies."""
        return self.key.removesuffix(ARCHIVE) + MANIFEST

    @property
    def drill_key(self) -> str:
        """Where the result of its last drill lies."""
        return self.key.removesuffix(ARCHIVE) + DRILL

    @property
    def keep_key(self) -> str:
        """Where a mark that keeps it would lie."""
        return self.key.removesuffix(ARCHIVE) + KEEP

    @property
    def name(self) -> str:
        """What an operator calls it."""
        return self.key.rsplit("/", 1)[-1].removesuffix(ARCHIVE)


def newest_first(copies: Iterable[D]) -> tuple[D, ...]:
    """The copies by time; those whose node's clock was ahead come after all others: they would be the newest for ever."""
    return tuple(sorted(copies, key=lambda copy: (not copy.ahead, copy.taken, copy.key), reverse=True))


def of(manifest: Manifest, prefix: str) -> Copy:
    """The copy that a manifest is of, wherever it lies."""
    stamp = manifest.taken.astimezone(UTC).strftime(TIME)
    key = f"{prefix}{manifest.manager}/swarm-{manifest.engine}-{manifest.manager}-{stamp}{ARCHIVE}"
    return Copy(key, manifest.manager, manifest.taken)


def taken(name: str) -> datetime:
    """When the copy of that name was taken. Raises: ValueError when it is no copy's name."""
    return datetime.strptime(name.rsplit("-", 1)[-1], TIME).replace(tzinfo=UTC)


def at(key: str, sites: tuple[str, ...], written: datetime | None) -> Copy | None:
    """The copy whose archive would lie at the key, and whose manifest was written then; None where that is no copy's name."""
    manager, name = key.split("/")[-2:]
    try:
        return Copy(key, manager, taken(name.removesuffix(ARCHIVE)), sites, written)
    except ValueError:
        return None


@dataclass(frozen=True)
class Choice:
    """A copy, read whole and found good unless it is said otherwise, with its manifest."""

    copy: Copy
    manifest: Manifest
