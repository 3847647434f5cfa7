"""The name of a copy, and its keys in S3.

The archive is ``PREFIX/CLUSTER/MANAGER/swarm-ENGINE-MANAGER-UTCTIME.tar.zst.age``. The manifest ``….manifest.json`` is
written after it: an archive without a manifest is not a copy. ``….keep.json`` is a keep mark, which protects a copy
from pruning.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from recovery.copies.manifest import Manifest
from recovery.s3.keys import ARCHIVE, DRILL, KEEP, MANIFEST
from recovery.spans import SKEW

TIME = "%Y%m%dT%H%M%S%fZ"
"""UTC with microseconds, so that names sort by time."""
SHOWN = "%Y-%m-%d %H:%M:%S"


class WithTime:
    """An object with two times: the one of its node's clock, and the one at which S3 stored it."""

    key: str
    taken: datetime
    written: datetime | None

    @property
    def ahead(self) -> bool:
        """Whether its own time is later than the time at which S3 stored it: the clock of its node was wrong."""
        return self.written is not None and self.taken - self.written > SKEW

    @property
    def dated(self) -> datetime:
        """When it was taken, as far as is known. Its age is counted from this time."""
        return self.written if self.written and self.ahead else self.taken

    @property
    def clock(self) -> str:
        """What is wrong with its time; empty if nothing is."""
        if not (self.ahead and self.written):
            return ""
        return (
            f"its node's clock was ahead. Its name says {self.taken:{SHOWN}}, "
            f"but S3 stored it at {self.written:{SHOWN}}"
        )


D = TypeVar("D", bound=WithTime)


@dataclass(frozen=True)
class Copy(WithTime):
    """One copy, identified by the key of its archive."""

    key: str
    manager: str
    taken: datetime
    sites: tuple[str, ...] = field(default=(), compare=False)
    """The sites that have all of it: main, second. By the listing alone, until a catalog has read its manifest."""
    written: datetime | None = field(default=None, compare=False)
    """When S3 stored its manifest; without a manifest, when it stored the archive."""

    @property
    def named_by_us(self) -> bool:
        """Whether its name has the form that `of` makes: the bucket may hold other archives."""
        return self.name.startswith("swarm-") and self.name.endswith(f"-{self.manager}-{self.taken.strftime(TIME)}")

    @property
    def owner(self) -> str:
        """The manager with whose copies it is kept or pruned."""
        return self.manager

    @property
    def manifest_key(self) -> str:
        """The key of its manifest."""
        return self.key.removesuffix(ARCHIVE) + MANIFEST

    @property
    def drill_key(self) -> str:
        """The key of the result of its last drill."""
        return self.key.removesuffix(ARCHIVE) + DRILL

    @property
    def keep_key(self) -> str:
        """The key of its keep mark, whether it has one or not."""
        return self.key.removesuffix(ARCHIVE) + KEEP

    @property
    def name(self) -> str:
        """The name that operators use."""
        return self.key.rsplit("/", 1)[-1].removesuffix(ARCHIVE)


def newest_first(copies: Iterable[D]) -> tuple[D, ...]:
    """The copies, newest first. Those whose node's clock was ahead come last: they would stay the newest for ever."""
    return tuple(sorted(copies, key=lambda copy: (not copy.ahead, copy.taken, copy.key), reverse=True))


def of(manifest: Manifest, prefix: str) -> Copy:
    """The copy that a manifest describes."""
    stamp = manifest.taken.astimezone(UTC).strftime(TIME)
    key = f"{prefix}{manifest.manager}/swarm-{manifest.engine}-{manifest.manager}-{stamp}{ARCHIVE}"
    return Copy(key, manifest.manager, manifest.taken)


def taken(name: str) -> datetime:
    """When the copy of that name was taken. Raises: ValueError if it is not the name of a copy."""
    return datetime.strptime(name.rsplit("-", 1)[-1], TIME).replace(tzinfo=UTC)


def at(key: str, sites: tuple[str, ...], written: datetime | None) -> Copy | None:
    """The copy with that archive key, whose manifest was written then; None if the key is not the key of a copy."""
    manager, name = key.split("/")[-2:]
    try:
        return Copy(key, manager, taken(name.removesuffix(ARCHIVE)), sites, written)
    except ValueError:
        return None


@dataclass(frozen=True)
class Rejected:
    """A copy that was looked at and is not restored."""

    copy: Copy
    why: str
    """The reason, the same for all copies that it holds for."""
    code: str = ""
    """The kind of the reason, as `recovery.error_codes` lists it; empty if no error was the reason."""
    recipients: tuple[str, ...] = ()
    """The age recipients that can open it, if its manifest was read."""


@dataclass(frozen=True)
class Choice:
    """A copy with its manifest. Unless stated otherwise, it was read completely and is good."""

    copy: Copy
    manifest: Manifest
    owner: str = ""
    """The name that the settings give its manager now, if it is another one."""

    @property
    def manager(self) -> str:
        """The manager of the settings on which it is restored."""
        return self.owner or self.manifest.manager
