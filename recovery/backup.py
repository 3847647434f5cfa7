"""Takes copies of the managers into S3: the others first, the leader last, so that the newest copy knows most."""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from recovery import snapshot
from recovery.catalog import Catalog, Copy
from recovery.errors import Refused, RequorumError
from recovery.escrow import Escrow
from recovery.manifest import Manifest
from recovery.model import Reach
from recovery.settings import Node, Settings
from recovery.survey import survey
from recovery.transport import Shell


@dataclass(frozen=True)
class Outcome:
    """What became of one manager's copy: the copy with its manifest, or the error."""

    manager: str
    copy: Copy | None = None
    manifest: Manifest | None = None
    error: RequorumError | None = None

    def missing_at(self, settings: Settings) -> bool:
        """Whether a site lacks the copy that was made; why, `backup` says."""
        return self.copy is not None and len(self.copy.sites) < len(settings.backup.sites)


def backup(settings: Settings, *, say: Callable[[str], None]) -> Iterator[Outcome]:
    """Take a copy of every manager: the others side by side, then the leader. One that fails keeps no other from being taken.

    Managers that are named lost are passed over.

    Raises: Refused when no manager answers with a leader; StoreError, HostError.
    """
    catalog = Catalog(settings)
    catalog.store.require_lock()
    seen = survey(settings, nodes=settings.managers)
    leader = seen.leader
    if leader is None:
        raise Refused(
            f"backing up cluster {settings.cluster}", "no manager answers with a leader", remedy="requorum status"
        )
    chief = next(member.node_id for member in leader.members if member.leader)
    last = leader.node.name if leader.node_id == chief else None
    there = [report.node for report in seen.managers if report.reach is not Reach.NAMED]
    others = [manager for manager in there if manager.name != last]

    def take(node: Node) -> Outcome:
        say(f"copying {node.name}" + (", the leader" if node.name == last else ""))
        try:
            return Outcome(node.name, *_take(catalog, settings, node))
        except RequorumError as error:
            return Outcome(node.name, error=error)

    with ThreadPoolExecutor(max_workers=max(len(others), 1)) as pool:
        yield from pool.map(take, others)
    yield from (take(manager) for manager in there if manager.name == last)
    for note in catalog.store.notes:
        say(note)


def take_one(settings: Settings, node: Node) -> tuple[Copy, Manifest]:
    """Take a copy of one manager. Raises: StoreError, TransportError, EngineError, DamagedCopy."""
    return _take(Catalog(settings), settings, node)


def take_safety(settings: Settings, node: Node, shell: Shell) -> tuple[Copy, Manifest]:
    """Take a copy of a manager that has no leader, before its log is given up. Raises: as `take_one`."""
    with tempfile.TemporaryDirectory(prefix="requorum-") as folder:
        sealed = Path(folder) / "copy"
        manifest = snapshot.take_leaderless(node, shell, sealed, recipients=settings.backup.recipients)
        return Catalog(settings).add(manifest, sealed), manifest


def _take(catalog: Catalog, settings: Settings, node: Node) -> tuple[Copy, Manifest]:
    with tempfile.TemporaryDirectory(prefix="requorum-") as folder, Shell(node, settings.ssh) as shell:
        sealed = Path(folder) / "copy"
        keep = Escrow(settings, catalog.store).keep
        manifest = snapshot.take(node, shell, sealed, recipients=settings.backup.recipients, keep=keep)
        made = catalog.add(manifest, sealed)
        if settings.backup.identity_file:  # what nobody could open is told now, not when it is needed
            catalog.opened(made, manifest, sealed)
        return made, manifest
