"""One operator at a time at a cluster's quorum and membership: whoever changes them holds the cluster's lease."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from recovery import journal, lease
from recovery.settings import Settings
from recovery.store import Store

NAME = "lease.json"


@contextmanager
def alone(settings: Settings, doing: str, *, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the cluster's lease; wait where another operator has it. Raises: Refused, StoreError."""
    key = f"{settings.backup.prefix}/{settings.cluster}/{NAME}"
    with lease.hold(Store(settings.backup.sites), key, doing, by=journal.operator(), say=say):
        yield
