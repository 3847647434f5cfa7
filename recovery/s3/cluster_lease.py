"""One operator at a time changes a cluster's quorum and membership, and holds the cluster's lease for that.

A recovery also holds the agents' lease until the cluster is proven: before that, agents would copy half a cluster.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from recovery.agent.run import LEASE
from recovery.errors import Refused, StoreError
from recovery.s3 import lease
from recovery.s3.lease import operator
from recovery.s3.store import Store
from recovery.settings import Settings

NAME = "lease.json"
_paused: dict[str, ExitStack] = {}
"""The agents' leases that this process holds, by key."""


@contextmanager
def hold(settings: Settings, doing: str, *, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the cluster's lease; wait while another operator holds it. Raises: Refused, StoreError."""
    with lease.hold(Store(settings.backup.sites), _key(settings, NAME), doing, by=operator(), say=say):
        yield


def require_held(settings: Settings, doing: str) -> None:
    """Check within `alone`, right before an irreversible step, that nobody took the lease over. Raises: Refused."""
    lease.require(_key(settings, NAME), doing)


def pause_agents(settings: Settings, *, say: Callable[[str], None]) -> None:
    """Take the agents' lease, from its holder too, until `resume_agents` or the end of this process.

    If S3 does not give the lease, ``say`` reports it and the recovery goes on.
    """
    key = _key(settings, LEASE)
    if settings.agent is None or key in _paused:
        return
    held, store = ExitStack(), Store(settings.backup.sites)
    try:
        held.enter_context(lease.hold(store, key, "recovery", by=operator(), say=say, at_once=True))
    except (Refused, StoreError) as error:
        say(f"agents are not paused, and may copy the swarm before its proof: {error.why}")
    else:
        _paused[key] = held


def resume_agents(settings: Settings) -> None:
    """Let agents copy again."""
    if held := _paused.pop(_key(settings, LEASE), None):
        held.close()


def _key(settings: Settings, name: str) -> str:
    return f"{settings.backup.prefix}/{settings.cluster}/{name}"
