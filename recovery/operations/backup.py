"""Takes copies of the managers into S3: the others first, the leader last, so that the newest copy knows most."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from time import monotonic, sleep

from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.copies.manifest import Manifest, Verdict
from recovery.copies.taking import TakenCopy, take_from
from recovery.errors import DamagedCopy, EngineError, ProofFailed, Refused, RequorumError, TransportError, UnopenedCopy
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.onnode import copying
from recovery.operations import restart
from recovery.s3 import cluster_lease
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.survey.nodes import ask, survey
from recovery.swarm.key_file import UnlockKey
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState, Reach

COLD = "taking a cold copy"
BACK_SECONDS = copying.STOPPED_SECONDS + restart.RESTART_SECONDS
"""For an engine that was stopped to run again: the guard on its node starts it where nobody else does."""
PAUSE = 0.3


@dataclass(frozen=True)
class BackupResult:
    """What became of one manager's copy: the copy with its manifest, or the error; both where it lies in S3 and cannot be opened."""

    manager: str
    copy: Copy | None = None
    manifest: Manifest | None = None
    error: RequorumError | None = None

    @property
    def at_fault(self) -> bool:
        """Whether what was copied is not whole, or nothing came up from it; another copy may be better then."""
        if self.error:
            return isinstance(self.error, DamagedCopy) and not isinstance(self.error, UnopenedCopy)
        return self.manifest is not None and self.manifest.verdict is Verdict.FAILED

    def missing_at(self, settings: Settings) -> bool:
        """Whether a site lacks the copy that was made; why, `backup` says."""
        return self.copy is not None and len(self.copy.sites) < len(settings.backup.sites)


def backup(settings: Settings, *, say: Callable[[str], None]) -> Iterator[BackupResult]:
    """Take a copy of every manager: the others side by side, then the leader. One that fails keeps no other from being taken.

    The copies are proven side by side, which newer engines need an election's time for. Managers that are named lost
    are passed over.

    Raises: Refused when no manager answers with a leader; StoreError, HostError.
    """
    catalog = Catalog(settings)
    catalog.store.require_lock()
    there, last = _order(settings)
    others = {node.name: Event() for node in there if node.name != last}
    """Each is set once there is a copy of that manager, or will be none."""

    def take(node: Node) -> BackupResult:
        if node.name == last:
            for copied in others.values():
                copied.wait()
        say(f"copying {node.name}" + (", the leader" if node.name == last else ""))
        copied = others.get(node.name, Event())
        try:
            return BackupResult(node.name, *take_from(catalog, settings, node, copied=copied.set))
        except RequorumError as error:
            return BackupResult(node.name, error=error)
        finally:
            copied.set()

    with ThreadPoolExecutor(max_workers=max(len(there), 1)) as pool:
        yield from pool.map(take, sorted(there, key=lambda node: node.name == last))
    for note in catalog.store.notes:
        say(note)


def backup_or_cold(settings: Settings, *, say: Callable[[str], None]) -> Iterator[BackupResult]:
    """As `backup`; of a manager whose copy is at fault a cold one is taken, and that is its outcome, unless its engine may not
    be stopped. Raises: as `backup_cold`.
    """
    failed: dict[str, BackupResult] = {}
    for outcome in backup(settings, say=say):
        if outcome.at_fault:
            failed[outcome.manager] = outcome
        else:
            yield outcome
    if failed:
        say(f"the copy of {' and '.join(failed)} is at fault: a cold one is taken")
        for outcome in backup_cold(settings, failed, say=say):
            if isinstance(outcome.error, Refused):
                say(str(outcome.error))
                yield failed[outcome.manager]
            else:
                yield outcome


def backup_cold(settings: Settings, names: Collection[str], *, say: Callable[[str], None]) -> Iterator[BackupResult]:
    """Take a copy of each named manager with its engine stopped for that, one after the other, the leader last.

    The next one's turn comes only once this one is Ready and Reachable again; after one that is not, the others are
    refused. An engine whose copy was broken off is started again, by systemd if need be.

    Raises: Refused when no manager answers with a leader, or somebody else changes the quorum; StoreError, HostError.
    """
    with cluster_lease.hold(Store(settings.backup.sites), settings.keys, "taking cold copies", say=say):
        catalog = Catalog(settings)
        catalog.store.require_lock()
        there, last = _order(settings)
        away = ""
        for node in sorted((node for node in there if node.name in names), key=lambda node: node.name == last):
            if away:
                why = f"{away} is not back from its own, and no other engine is stopped before that"
                yield BackupResult(node.name, error=Refused(COLD, why, remedy="requorum doctor", node=node.name))
                continue
            try:
                yield BackupResult(node.name, *_take_cold(catalog, settings, node, say))
            except RequorumError as error:
                away = node.name if isinstance(error, ProofFailed) else ""
                yield BackupResult(node.name, error=error)


def _order(settings: Settings) -> tuple[list[Node], str | None]:
    """The managers that are not named lost, and the name of the leader. Raises: Refused when there is none."""
    seen = survey(settings, nodes=settings.managers)
    leader = seen.leader
    if leader is None:
        raise Refused(
            f"backing up cluster {settings.cluster}", "no manager answers with a leader", remedy="requorum status"
        )
    chief = next(member.node_id for member in leader.members if member.leader)
    there = [report.node for report in seen.managers if report.reach is not Reach.NAMED]
    return there, leader.node.name if leader.node_id == chief else None


def _take_cold(catalog: Catalog, settings: Settings, node: Node, say: Callable[[str], None]) -> TakenCopy:
    """Raises: ProofFailed where the manager is not back, whatever became of its copy; StoreError, TransportError, …"""
    before = restart.may_halt(settings, node, COLD)

    def back(key: UnlockKey | None) -> None:
        say(f"unlocking {node.name} with the key {key.fingerprint}" if key else f"waiting for {node.name}")
        with ThreadPoolExecutor(max_workers=1) as pool:  # an interrupt is heard once that is over
            pool.submit(_await_engine, settings, node, key).result()
        restart.await_back(settings, node, before, COLD, restart.RESTART_SECONDS)

    say(f"copying {node.name}, its engine stopped meanwhile")
    return take_from(catalog, settings, node, back=back)


def _await_engine(settings: Settings, node: Node, key: UnlockKey | None) -> None:
    """Wait until an engine that was stopped runs again and its guard is off; where it is locked, unlock it. Raises: ProofFailed."""
    end, why = monotonic() + BACK_SECONDS, ""
    while monotonic() < end:
        try:
            with Shell(node, settings.ssh) as shell:
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
    remedy = "requorum doctor names the next step"
    raise ProofFailed(COLD, f"after {BACK_SECONDS:.0f} s: {why}", remedy=remedy, node=node.name)
