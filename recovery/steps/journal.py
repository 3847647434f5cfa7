"""The journal of a recovery in S3: each step, while the recovery runs. The steps run in several processes, which may be killed.

An entry is stored as ``PREFIX/CLUSTER/journal/UTCTIME-ACTION-NODE.json``. Requorum writes it before the step's change, and
again after the change, so that an interrupted step is visible. If S3 does not store an entry, the recovery reports the
error and continues.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from recovery.errors import RequorumError, StoreError
from recovery.progress import Say
from recovery.s3.lease import operator
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.steps.entry import ENTRY, LASTING, Entry, from_json


@contextmanager
def step(settings: Settings, action: str, node: str, say: Say) -> Iterator[None]:
    """Record one step in the journal: its start, and its end or its error."""
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
    candidates = (key.removeprefix(folder) for key in Store(settings.backup.sites).keys(folder))
    return tuple(sorted(name for name in candidates if ENTRY.match(name)))


def read(settings: Settings, *, after: str = "") -> tuple[Entry, ...]:
    """The entries whose names sort after the name ``after``, oldest first, without unreadable entries. Raises: StoreError."""
    store, folder = Store(settings.backup.sites), settings.keys.journal

    def one(name: str) -> Entry | None:
        try:
            return from_json(store.get(folder + name))
        except (ValueError, TypeError, KeyError):
            return None

    with ThreadPoolExecutor(max_workers=8) as pool:
        return tuple(entry for entry in pool.map(one, (name for name in names(settings) if name > after)) if entry)


def clear(settings: Settings, entries: Iterable[str]) -> None:
    """Delete the entries with these names. Raises: StoreError."""
    store, folder = Store(settings.backup.sites), settings.keys.journal
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda name: store.delete(folder + name), entries))


def _write(settings: Settings, entry: Entry, say: Say) -> None:
    hasty = entry.action not in LASTING  # a step must not wait long for the journal
    try:
        Store(settings.backup.sites, hasty=hasty).put(settings.keys.journal + entry.name, entry.to_json())
    except StoreError as error:
        say(f"Requorum cannot write the journal: {error.why}")
