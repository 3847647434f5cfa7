"""What a recovery did, step by step, kept in S3 while it goes on: its steps run in several processes, any of which may be killed.

Keys are ``PREFIX/CLUSTER/journal/UTCTIME-ACTION-NODE.json``. A step's entry is written before its effect and again
after it, so that one that broke off is seen. A journal that cannot be written stops no recovery: it is said, and that is all.
"""

import getpass
import json
import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from recovery.copy import TIME
from recovery.errors import RequorumError, StoreError
from recovery.settings import Settings
from recovery.steps import Action
from recovery.store import Store

Say = Callable[[str], None]
PLAN = "plan"
"""The action of the entry that begins a run: what was found and what is to be done."""
LASTING = (PLAN, Action.PROVE)
"""The actions whose entries a report cannot do without, one of each in a run: they are written with patience."""
ENTRY = re.compile(r"\d{8}T\d{12}Z-[a-z]+-[a-z0-9-]+\.json$")
"""Names of entries: copies of a manager that is called `journal` are none."""
BEGUN, DONE, FAILED = "begun", "done", "failed"


@dataclass(frozen=True)
class Entry:
    """One step: where, when (UTC), how long (seconds, None until it ended), and what became of it."""

    action: str
    node: str
    begun: datetime
    who: str
    outcome: str = BEGUN
    seconds: float | None = None
    error: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Of a plan: what was found, what is to be done, and which containers ran before."""

    @property
    def name(self) -> str:
        """The last part of its key; names sort by time."""
        return f"{self.begun.strftime(TIME)}-{self.action}-{self.node}.json"

    def ended(self, now: datetime, error: str = "") -> "Entry":
        """The same step when it is over."""
        seconds = round((now - self.begun).total_seconds(), 3)
        return replace(self, outcome=FAILED if error else DONE, seconds=seconds, error=error)

    def to_json(self) -> bytes:
        """The entry as it is stored."""
        return json.dumps({**asdict(self), "begun": self.begun.isoformat()}, indent=1).encode()


def from_json(text: bytes) -> Entry:
    """A stored entry. Raises: ValueError, TypeError, KeyError when it is none."""
    document = json.loads(text)
    return Entry(**{**document, "begun": datetime.fromisoformat(document["begun"])})


def operator() -> str:
    """Who runs this process, and where: user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


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
    folder = _folder(settings)
    found = (key.removeprefix(folder) for key in Store(settings.backup.sites).keys(folder))
    return tuple(sorted(name for name in found if ENTRY.match(name)))


def read(settings: Settings, *, after: str = "") -> tuple[Entry, ...]:
    """The entries whose names sort ``after`` that one, oldest first; what cannot be read is left out. Raises: StoreError."""
    store, folder = Store(settings.backup.sites), _folder(settings)

    def one(name: str) -> Entry | None:
        try:
            return from_json(store.get(folder + name))
        except (ValueError, TypeError, KeyError):
            return None

    with ThreadPoolExecutor(max_workers=8) as pool:
        return tuple(entry for entry in pool.map(one, (name for name in names(settings) if name > after)) if entry)


def clear(settings: Settings, entries: Iterable[str]) -> None:
    """Delete the entries of those names. Raises: StoreError."""
    store, folder = Store(settings.backup.sites), _folder(settings)
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda name: store.delete(folder + name), entries))


def _write(settings: Settings, entry: Entry, say: Say) -> None:
    hasty = entry.action not in LASTING  # no effect waits for long
    try:
        Store(settings.backup.sites, hasty=hasty).put(_folder(settings) + entry.name, entry.to_json())
    except StoreError as error:
        say(f"the journal was not written: {error.why}")


def _folder(settings: Settings) -> str:
    return f"{settings.backup.prefix}/{settings.cluster}/journal/"
