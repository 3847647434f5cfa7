"""The journal of a recovery in S3: each step, while the recovery runs. The steps run in several processes, which may be killed.

An entry is stored as ``PREFIX/CLUSTER/journal/UTCTIME-ACTION-NODE.json``. Requorum writes it before the step's change, and
again after the change, so that an interrupted step is visible. An operator signs it, and an entry without a valid signature
does not count. If S3 does not store an entry, the recovery reports the error and continues.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from recovery.cluster import Cluster
from recovery.errors import RequorumError, SettingError, StoreError
from recovery.node.signing import Kind
from recovery.parallel import side_by_side
from recovery.progress import Say
from recovery.s3.lease import operator
from recovery.s3.store import Store
from recovery.steps.entry import BEGUN, ENTRY, LASTING, Entry, from_document
from recovery.swarm.records import Unfit

AT_MOST = 8
"""How many entries are read or deleted at a time."""


@contextmanager
def step(cluster: Cluster, action: str, node: str, say: Say) -> Iterator[None]:
    """Record one step in the journal: its start, and its end or its error."""
    entry = begin(cluster, action, node, say)
    try:
        yield
    except BaseException as error:
        why = error.why if isinstance(error, RequorumError) else type(error).__name__
        end(cluster, entry, say, error=why)
        raise
    end(cluster, entry, say)


def begin(cluster: Cluster, action: str, node: str, say: Say, facts: Mapping[str, Any] | None = None) -> Entry:
    """Record that a step begins."""
    entry = Entry(action, node, datetime.now(UTC), operator(), facts=facts or {})
    _write(cluster, entry, say)
    return entry


def end(cluster: Cluster, entry: Entry, say: Say, *, error: str = "") -> None:
    """Record that a step ended."""
    _write(cluster, entry.ended(datetime.now(UTC), error), say)


def names(cluster: Cluster, store: Store | None = None) -> tuple[str, ...]:
    """The names of all entries, oldest first. Raises: StoreError."""
    folder = cluster.settings.keys.journal
    return _names((store or cluster.store).keys(folder), folder)


def read(cluster: Cluster, *, after: str = "", store: Store | None = None) -> tuple[Entry, ...]:
    """The entries whose names sort after the name ``after``, oldest first: those that an operator signed. Raises: StoreError."""
    source, folder = store or cluster.store, cluster.settings.keys.journal

    def one(name: str) -> Entry | None:
        """The entry as it was written last: the end of a step may be at another site than its start."""
        key, found = folder + name, list[Entry]()
        for _, content in source.looks(key, places[key]):
            read = cluster.operators.read(Kind.JOURNAL, key, content)
            with suppress(Unfit):
                found += [] if read.fault else [from_document(read.document)]
        return max(found, key=lambda entry: entry.outcome != BEGUN, default=None)

    places = source.listed(folder)
    newer = [name for name in _names(places, folder) if name > after]
    return tuple(entry for entry in side_by_side(one, newer, at_most=AT_MOST) if entry)


def clear(cluster: Cluster, entries: Iterable[str]) -> None:
    """Delete the entries with these names. Raises: StoreError."""
    store, folder = cluster.store, cluster.settings.keys.journal
    side_by_side(lambda name: store.delete(folder + name), tuple(entries), at_most=AT_MOST)


def _names(keys: Iterable[str], folder: str) -> tuple[str, ...]:
    candidates = (key.removeprefix(folder) for key in keys)
    return tuple(sorted(name for name in candidates if ENTRY.fullmatch(name)))


def _write(cluster: Cluster, entry: Entry, say: Say) -> None:
    try:
        store = cluster.store if entry.action in LASTING else cluster.hasty  # a step must not wait long for the journal
        key = cluster.settings.keys.journal + entry.name
        store.put(key, cluster.operators.sign(Kind.JOURNAL, key, entry.to_document()))
    except (StoreError, SettingError) as error:
        say(f"Requorum cannot write the journal: {error.why}")
