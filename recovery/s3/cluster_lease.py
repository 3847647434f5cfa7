"""The leases of callers that are not given a cluster: the functions of `recovery.cluster` for one process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from recovery.errors import Refused, StoreError
from recovery.s3.keys import Keys
from recovery.s3.lease import Leases, operator
from recovery.s3.store import Store

_leases = Leases()
_paused: dict[str, ExitStack] = {}
"""The agents' leases that this process holds, by key."""


@contextmanager
def hold(store: Store, keys: Keys, doing: str, *, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the cluster's lease; wait while another operator holds it. Raises: Refused, StoreError."""
    with _leases.hold(store, keys.lease, doing, by=operator(), say=say):
        yield


def require_held(keys: Keys, doing: str) -> None:
    """Check within `hold`, right before an irreversible step, that nobody took the lease over. Raises: Refused."""
    _leases.require(keys.lease, doing)


def pause_agents(store: Store, keys: Keys, *, say: Callable[[str], None]) -> None:
    """Take the agents' lease, from its holder too, until `resume_agents` or the end of this process.

    If S3 does not give the lease, ``say`` reports it and the recovery goes on.
    """
    key = keys.agents_lease
    if key in _paused:
        return
    held = ExitStack()
    try:
        held.enter_context(_leases.hold(store, key, "recovery", by=operator(), say=say, at_once=True))
    except (Refused, StoreError) as error:
        say(f"agents are not paused, and may copy the swarm before its proof: {error.why}")
    else:
        _paused[key] = held


def resume_agents(keys: Keys) -> None:
    """Let agents copy again."""
    if held := _paused.pop(keys.agents_lease, None):
        held.close()
