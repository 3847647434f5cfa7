"""What a recovery did, step by step, kept in S3 while it goes on: its steps run in several processes, any of which may be killed.

Keys are ``PREFIX/CLUSTER/journal/UTCTIME-ACTION-NODE.json``. A step's entry is written before its effect and again
after it, so that one that broke off is seen. A journal that cannot be written stops no recovery: it is said, and that is all.
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
    """Around one effect: what was done, or what kept it from being done."""
    entry = begin(settings, action, node, say)
    try:
        yield
    except BaseException as error:
        why = error.why if isinstance(error, RequorumError) else type(error).__name__
        end(settings, entry, say, error=why)
        raise
    end(settings, entry, say)


def begin(settings: Settings, action: str, node: str, say: Say, facts: Mapping[str, Any] | None = None) -> Entry:
    """Write that a step begins."""
    entry = Entry(action, node, datetime.now(UTC), operator(), facts=facts or {})
    _write(settings, entry, say)
    return entry


def end(settings: Settings, entry: Entry, say: Say, *, error: str = "") -> None:
    """Write that it is over."""
    _write(settings, entry.ended(datetime.now(UTC), error), say)


def names(settings: Settings) -> tuple[str, ...]:
    """The names of all entries, oldest first. Raises: StoreError."""
    folder = settings.keys.journal
    found = (key.removeprefix(folder) for key in Store(settings.backup.sites).keys(folder))
    return tuple(sorted(name for name in found if ENTRY.match(name)))


def read(settings: Settings, *, after: str = "") -> tuple[Entry, ...]:
    """The entries whose names sort ``after`` that one, oldest first; what cannot be read is left out. Raises: StoreError."""
    store, folder = Store(settings.backup.sites), settings.keys.journal

    def one(name: str) -> Entry | None:
        try:
            return from_json(store.get(folder + name))
        except (ValueError, TypeError, KeyError):
            return None

    with ThreadPoolExecutor(max_workers=8) as pool:
        return tuple(entry for entry in pool.map(one, (name for name in names(settings) if name > after)) if entry)


def clear(settings: Settings, entries: Iterable[str]) -> None:
    """Delete the entries of those names. Raises: StoreError."""
    store, folder = Store(settings.backup.sites), settings.keys.journal
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda name: store.delete(folder + name), entries))


def _write(settings: Settings, entry: Entry, say: Say) -> None:
    hasty = entry.action not in LASTING  # no effect waits for long
    try:
        Store(settings.backup.sites, hasty=hasty).put(settings.keys.journal + entry.name, entry.to_json())
    except StoreError as error:
        say(f"the journal was not written: {error.why}")
