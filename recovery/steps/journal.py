"""The journal of a recovery in S3: each step, while the recovery runs. The steps run in several processes, which may be killed.

An entry is stored as ``PREFIX/CLUSTER/journal/UTCTIME-ACTION-NODE.json``. It is written before the step's change and
again after it, so that an interrupted step is visible. If the journal cannot be written, the recovery reports that and
goes on.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from recovery.errors import RequorumError, StoreError
from recovery.parallel import side_by_side
from recovery.progress import Say
from recovery.s3.lease import operator
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.steps.entry import ENTRY, LASTING, Entry, from_json

AT_MOST = 8
"""How many entries are read or deleted at a time."""


@contextmanager
def step(settings: Settings, action: str, node: str, say: Say) -> Iterator[None]:
    """Record one step in the journal: its begin, and its end or its error."""
    entry = begin(settings, action, node, say)
    try:
        yield
    except BaseException as error:
        why = error.why if isinstance(error, RequorumError) else type(error).__name__
        end(settings, entry, say, error=why)
        raise
    end(settings, entry, say)


def begin(settings: Settings, action: str, node: str, say: Say, facts: Mapping[str, Any] | None = None) -> Entry:
    """Record that a step begins."""
    entry = Entry(action, node, datetime.now(UTC), operator(), facts=facts or {})
    _write(settings, entry, say)
    return entry


def end(settings: Settings, entry: Entry, say: Say, *, error: str = "") -> None:
    """Record that a step ended."""
    _write(settings, entry.ended(datetime.now(UTC), error), say)


def names(settings: Settings) -> tuple[str, ...]:
    """The names of all entries, oldest first. Raises: StoreError."""
    folder = settings.keys.journal
    found = (key.removeprefix(folder) for key in Store(settings.backup.sites).keys(folder))
    return tuple(sorted(name for name in found if ENTRY.match(name)))


def read(settings: Settings, *, after: str = "") -> tuple[Entry, ...]:
    """The entries whose names sort ``after`` that name, oldest first. Unreadable entries are left out. Raises: StoreError."""
    store, folder = Store(settings.backup.sites), settings.keys.journal

    def one(name: str) -> Entry | None:
        try:
            return from_json(store.get(folder + name))
        except (ValueError, TypeError, KeyError):
            return None

    newer = [name for name in names(settings) if name > after]
    return tuple(entry for entry in side_by_side(one, newer, at_most=AT_MOST) if entry)


def clear(settings: Settings, entries: Iterable[str]) -> None:
    """Delete the entries of those names. Raises: StoreError."""
    store, folder = Store(settings.backup.sites), settings.keys.journal
    side_by_side(lambda name: store.delete(folder + name), tuple(entries), at_most=AT_MOST)


def _write(settings: Settings, entry: Entry, say: Say) -> None:
    hasty = entry.action not in LASTING  # a step must not wait long for the journal
    try:
        Store(settings.backup.sites, hasty=hasty).put(settings.keys.journal + entry.name, entry.to_json())
    except StoreError as error:
        say(f"the journal could not be written: {error.why}")
