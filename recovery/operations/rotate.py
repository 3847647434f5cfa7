"""Rotates the secrets of a living swarm: a join token or the unlock key. `rotate_ca` rotates the CA."""

from collections.abc import Iterator
from contextlib import contextmanager

from recovery.cluster import Cluster
from recovery.errors import EngineError, ProofFailed, Refused, TransportError
from recovery.node.engine import Engine
from recovery.node.writes import RECOVERY_SECONDS
from recovery.operations import lifecycle
from recovery.operations.leading import leading
from recovery.progress import Say
from recovery.steps import unlock
from recovery.swarm import rotation
from recovery.swarm.key_file import UnlockKey
from recovery.swarm.machines import Node, Role
from recovery.swarm.model import Survey
from recovery.waiting import until

UNLOCK_KEY = "rotating the unlock key"


def rotate_token(cluster: Cluster, role: Role, *, say: Say) -> None:
    """Make a new join token for a role, and copy the managers: an older copy would bring the old token back.

    Raises: Refused if the swarm has no leader, or another operator holds the lease; ProofFailed if the swarm still has the
    old token; EngineError; StoreError.
    """
    doing = f"rotating the {role} token"
    with led(cluster, doing, say) as (_, engine):
        before = engine.join_token(role)
        say(doing)
        engine.rotate_token(role)
        if engine.join_token(role) == before:
            raise _not_changed(doing, "the swarm still has the token of before")
        lifecycle.fresh_copies(cluster, say=say)


def rotate_unlock_key(cluster: Cluster, *, say: Say) -> UnlockKey:
    """Make a new unlock key, put it in escrow, wait until the managers use it, and copy them. Returns the key.

    Escrow keeps the old key: older copies, and managers that are down, need it. If an earlier run was killed before escrow had
    the new key, this run finishes that one, and makes no other key.

    Raises: Refused if the swarm has no leader or is not autolocked, or another operator holds the lease; ProofFailed;
    SettingError if escrow has no recipients; EngineError; StoreError.
    """
    with led(cluster, UNLOCK_KEY, say) as (seen, engine):
        require_autolock(engine)
        key = engine.unlock_key()
        cluster.escrow.keep(key)
        if not rotation.is_noted(engine.options()):
            say(UNLOCK_KEY)
            engine.rotate_unlock_key()
            before, key = key, engine.unlock_key()
            if key.fingerprint == before.fingerprint:
                raise _not_changed(UNLOCK_KEY, "the swarm still has the key of before")
            cluster.escrow.keep(key)
        say(f"escrow has unlock key {key.fingerprint}")
        _await_key(cluster, seen, key, say)
        engine.end_rotation()
        lifecycle.fresh_copies(cluster, say=say)
        return key


def require_autolock(engine: Engine) -> None:
    """Raises: Refused if the swarm is not autolocked."""
    if not engine.autolocked:
        why, remedy = "the swarm is not autolocked", "set requorum:swarm.autolock to true, then: pulumi up"
        raise Refused(UNLOCK_KEY, why, remedy=remedy, code="not-autolocked")


def check(cluster: Cluster, *, autolocked: bool = False) -> None:
    """Check that the swarm has a leader and, for its unlock key, is ``autolocked``. Raises: Refused."""
    with leading(cluster, "rotating a secret of the swarm") as (_, engine):
        if autolocked:
            require_autolock(engine)


@contextmanager
def led(cluster: Cluster, doing: str, say: Say) -> Iterator[tuple[Survey, Engine]]:
    """Within the lease: the survey, and the engine of a manager with a leader. Raises: Refused; StoreError."""
    with cluster.hold(doing, say=say), leading(cluster, doing) as found:
        yield found


def _await_key(cluster: Cluster, seen: Survey, key: UnlockKey, say: Say) -> None:
    """Wait until the key file of each manager that has a leader is encrypted under the key. Raises: ProofFailed."""
    there = [report.node for report in seen.managers if report.led]
    for report in seen.managers:
        if not report.led:
            say(f"{report.node.name} does not answer as a manager. It gets the new key when it is back")

    def without() -> list[Node]:
        return [node for node in there if not _uses(cluster, node, key)]

    def failure(left: list[Node]) -> ProofFailed:
        why = f"{', '.join(node.name for node in left)} did not take the new key within {RECOVERY_SECONDS:.0f} s"
        remedy = "find out why (requorum doctor), then run the same command again. Escrow has both keys"
        return ProofFailed(UNLOCK_KEY, why, remedy=remedy, code="rotation-unfinished")

    until(without, RECOVERY_SECONDS, holds=lambda left: not left, otherwise=failure)


def _uses(cluster: Cluster, node: Node, key: UnlockKey) -> bool:
    try:
        with cluster.shell(node) as shell:
            return unlock.is_under(shell, key)
    except (TransportError, EngineError):
        return False


def _not_changed(doing: str, why: str) -> ProofFailed:
    return ProofFailed(
        doing,
        why,
        remedy="look at the swarm (requorum status), then run the same command again",
        code="rotation-unfinished",
    )
