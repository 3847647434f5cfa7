"""One operator at a time at a cluster's quorum and membership: whoever changes them holds the cluster's lease.

Whoever makes a quorum again holds the agents' lease too, until that is proven: what they would copy meanwhile is half a cluster.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from recovery.errors import Refused, StoreError
from recovery.s3 import lease
from recovery.s3.keys import Keys
from recovery.s3.lease import operator
from recovery.s3.store import Store

_paused: dict[str, ExitStack] = {}
"""The agents' leases that this process holds, by key."""


@contextmanager
def hold(store: Store, keys: Keys, doing: str, *, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the cluster's lease; wait where another operator has it. Raises: Refused, StoreError."""
    with lease.hold(store, keys.lease, doing, by=operator(), say=say):
        yield


def require_held(keys: Keys, doing: str) -> None:
    """Have made sure, right before what cannot be taken back, that nobody took the lease over. Within `hold`. Raises: Refused."""
    lease.require(keys.lease, doing)


def pause_agents(store: Store, keys: Keys, *, say: Callable[[str], None]) -> None:
    """Hold the agents' lease until `resume_agents`, or the end of this process: an agent that has it loses it.

    S3 that does not give it stops no recovery: it is said.
    """
    key = keys.agents_lease
    if key in _paused:
        return
    held = ExitStack()
    try:
        held.enter_context(lease.hold(store, key, "recovery", by=operator(), say=say, at_once=True))
    except (Refused, StoreError) as error:
        say(f"agents may copy before the proof: {error.why}")
    else:
        _paused[key] = held


def resume_agents(keys: Keys) -> None:
    """Let agents copy again."""
    if held := _paused.pop(keys.agents_lease, None):
        held.close()
