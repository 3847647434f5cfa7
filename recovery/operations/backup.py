"""Copies the managers to S3: the leader last, so that the newest copy holds the latest changes."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from time import monotonic, sleep

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.copies.manifest import Manifest, Verdict
from recovery.copies.taking import TakenCopy, take_from
from recovery.errors import DamagedCopy, EngineError, ProofFailed, Refused, RequorumError, TransportError, UnopenedCopy
from recovery.node.connections import BRISK
from recovery.node.engine import Engine
from recovery.onnode import copying
from recovery.operations import restart
from recovery.planning import access
from recovery.settings import Settings
from recovery.survey.nodes import ask, survey
from recovery.swarm.key_file import UnlockKey
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState, Reach

COLD = "taking a cold copy"
BACK_SECONDS = copying.STOPPED_SECONDS + restart.RESTART_SECONDS
"""How long a stopped engine may take to run again. A guard on its node starts the engine if nothing else does."""
PAUSE = 0.3


@dataclass(frozen=True)
class BackupResult:
    """The result for one manager: its copy with the manifest, or the error. Both, if a stored copy cannot be opened."""

    manager: str
    copy: Copy | None = None
    manifest: Manifest | None = None
    error: RequorumError | None = None

    @property
    def at_fault(self) -> bool:
        """Whether the copy is damaged or failed its restore test. A cold copy may then be better."""
        if self.error:
            return isinstance(self.error, DamagedCopy) and not isinstance(self.error, UnopenedCopy)
        return self.manifest is not None and self.manifest.verdict is Verdict.FAILED

    def missing_at(self, settings: Settings) -> bool:
        """Whether a site lacks the copy. `backup` reports the reason."""
        return self.copy is not None and len(self.copy.sites) < len(settings.backup.sites)


def backup(cluster: Cluster, *, say: Callable[[str], None]) -> Iterator[BackupResult]:
    """Copy every manager: the followers in parallel, then the leader. If one fails, the others are still copied.

    The restore tests run in parallel: on newer engines each takes as long as an election. Managers that are
    declared lost are left out.

    Raises: Refused if no manager has a leader; StoreError, HostError.
    """
    catalog = cluster.catalog()
    catalog.store.require_lock()
    there, last = _order(cluster)
    others = {node.name: Event() for node in there if node.name != last}
    """One event for each follower. It is set when the manager is copied, or its copy failed."""

    def take(node: Node) -> BackupResult:
        if node.name == last:
            for copied in others.values():
                copied.wait()
        copied = others.get(node.name, Event())
        try:
            say(f"copying {node.name}" + (", the leader" if node.name == last else ""))
            return BackupResult(node.name, *take_from(catalog, cluster.settings, node, copied=copied.set))
        except RequorumError as error:
            return BackupResult(node.name, error=error)
        finally:
            copied.set()

    with ThreadPoolExecutor(max_workers=max(len(there), 1)) as pool:
        yield from pool.map(take, sorted(there, key=lambda node: node.name == last))
    for note in catalog.store.notes:
        say(note)


def backup_or_cold(cluster: Cluster, *, say: Callable[[str], None]) -> Iterator[BackupResult]:
    """Copy every manager as `backup` does. If a copy is at fault, take a cold copy, and return that instead.

    If the engine may not be stopped now, return the first copy. Raises: as `backup_cold`.
    """
    failed: dict[str, BackupResult] = {}
    for outcome in backup(cluster, say=say):
        if outcome.at_fault:
            failed[outcome.manager] = outcome
        else:
            yield outcome
    if failed:
        say(f"the copy of {' and '.join(failed)} cannot be used. Requorum takes a cold copy")
        for outcome in backup_cold(cluster, failed, say=say):
            if isinstance(outcome.error, Refused):
                say(str(outcome.error))
                yield failed[outcome.manager]
            else:
                yield outcome


def backup_cold(cluster: Cluster, names: Collection[str], *, say: Callable[[str], None]) -> Iterator[BackupResult]:
    """Stop the engine of each named manager for its copy, one manager at a time, the leader last.

    Each manager must be Ready and Reachable again before the next engine is stopped. If one is not, the others are
    refused. If a copy is interrupted, the engine is started again, by systemd if necessary.

    Raises: Refused if no manager has a leader, or another operator holds the lease; StoreError, HostError.
    """
    with cluster.hold("taking cold copies", say=say):
        catalog = cluster.catalog()
        catalog.store.require_lock()
        there, last = _order(cluster)
        away = ""
        for node in sorted((node for node in there if node.name in names), key=lambda node: node.name == last):
            if away:
                why = f"{away} is not back after its own cold copy, so Requorum stops no other engine"
                refused = Refused(COLD, why, remedy="requorum doctor", node=node.name, code="node-not-back")
                yield BackupResult(node.name, error=refused)
                continue
            try:
                yield BackupResult(node.name, *_take_cold(cluster, catalog, node, say))
            except RequorumError as error:
                away = node.name if isinstance(error, ProofFailed) else ""
                yield BackupResult(node.name, error=error)


def _order(cluster: Cluster) -> tuple[list[Node], str | None]:
    """The managers that are not declared lost, and the leader's name. Raises: Refused if there is no leader."""
    seen = survey(cluster, nodes=cluster.settings.managers)
    leader = seen.leader
    if (leader is None or leader.reach is Reach.NO_RIGHTS) and (unseen := access.faults(seen)):
        raise access.locked_out(unseen, cluster.settings.ssh, f"backing up cluster {cluster.settings.cluster}")
    if leader is None:
        raise Refused(
            f"backing up cluster {cluster.settings.cluster}",
            "no manager reports a leader",
            remedy="requorum status",
            code="no-leader",
        )
    chief = next(member.node_id for member in leader.members if member.leader)
    there = [report.node for report in seen.managers if report.reach is not Reach.NAMED]
    return there, leader.node.name if leader.node_id == chief else None


def _take_cold(cluster: Cluster, catalog: Catalog, node: Node, say: Callable[[str], None]) -> TakenCopy:
    """Take a cold copy. Raises: ProofFailed if the manager is not back, even with a good copy; as `_take`."""
    before = restart.may_halt(cluster, node, COLD)

    def back(key: UnlockKey | None) -> None:
        say(f"unlocking {node.name} with unlock key {key.fingerprint}" if key else f"waiting for {node.name}")
        with ThreadPoolExecutor(max_workers=1) as pool:  # an interrupt takes effect after the wait
            pool.submit(_await_engine, cluster, node, key).result()
        restart.await_back(cluster, node, before, COLD, restart.RESTART_SECONDS, say=say)

    say(f"copying {node.name} while its engine is stopped")
    return take_from(catalog, cluster.settings, node, back=back)


def _await_engine(cluster: Cluster, node: Node, key: UnlockKey | None) -> None:
    """Wait until a stopped engine runs again and its guard is off. Unlock a locked engine. Raises: ProofFailed."""
    end, why = monotonic() + BACK_SECONDS, ""
    while monotonic() < end:
        try:
            with cluster.shell(node, pauses=BRISK) as shell:
                guard = shell.run(["systemctl", "is-active", "--quiet", f"{copying.GUARD}.timer"], check=False)
                seen = ask(shell)
                if key and seen.state is LocalState.LOCKED:
                    Engine(shell).unlock(key)
                if guard.status and seen.state in (LocalState.ACTIVE, LocalState.LOCKED):
                    return
            why = seen.detail or f"its engine's swarm state is {seen.state}"
        except (TransportError, EngineError) as error:
            why = error.why
        sleep(PAUSE)
    raise ProofFailed(
        COLD,
        f"its Docker engine is not back after {BACK_SECONDS:.0f} s: {why}",
        remedy="requorum doctor",
        node=node.name,
        code="node-not-back",
    )
