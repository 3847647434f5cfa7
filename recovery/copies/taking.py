"""Takes one manager's copy and stores it."""

from collections.abc import Callable
from pathlib import Path

from recovery.copies import snapshot, storing
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Manifest
from recovery.copies.workspace import workspace
from recovery.errors import DamagedKeyFile, NoUnlockKey, RequorumError, SettingError
from recovery.node.ssh import Shell
from recovery.s3.sealing import at_hand
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.swarm.key_file import UnlockKey, unlock
from recovery.swarm.machines import Node

TakenCopy = tuple[Copy, Manifest, RequorumError | None]
"""A stored copy with its manifest, and why it cannot be opened here, if so."""


def take_one(catalog: Catalog, settings: Settings, node: Node) -> tuple[Copy, Manifest]:
    """Copy one manager. Raises: StoreError, TransportError, EngineError, DamagedCopy; as `Escrow.check`."""
    copy, manifest, error = take_from(catalog, settings, node)
    if error:
        raise error
    return copy, manifest


def take_safety(store: Store, settings: Settings, shell: Shell, *, damaged: bool = False) -> tuple[Copy, Manifest]:
    """Copy a manager that has no leader, before it gives up its raft log, which may be ``damaged``.

    Only a signed copy gives the manager its identity back, and a locked key signs once it is opened. A copy with a torn key
    file is stored unsigned. Raises: as `take_one`.
    """

    def opening(locked: bytes) -> bytes:
        try:
            return unlock(locked, Escrow(settings, store, now=True).opening(locked, whose=shell.node.name))
        except (DamagedKeyFile, NoUnlockKey, SettingError):
            return b""

    with workspace() as folder:
        sealed, recipients = folder / "copy", settings.backup.recipients
        manifest = snapshot.take_leaderless(shell, sealed, opening, recipients=recipients, damaged=damaged)
        return storing.store(store, settings.keys.root, manifest, sealed), manifest


def take_from(
    catalog: Catalog,
    settings: Settings,
    node: Node,
    *,
    back: Callable[[UnlockKey | None], None] | None = None,
    copied: Callable[[], None] = lambda: None,
) -> TakenCopy:
    """Take one manager's copy and store it; a cold one when ``back`` brings its engine back. Raises: as `take_one`."""
    with workspace() as folder, Shell(node, settings.ssh) as shell:
        sealed = folder / "copy"
        before = snapshot.prepare(shell, Escrow(settings, catalog.store).keep)
        with snapshot.cold(shell, before, back) if back else snapshot.hot(shell, before) as copy:
            copied()
            manifest = snapshot.finish(shell, copy, sealed, settings.backup.recipients)
        made = catalog.add(manifest, sealed)
        return made, manifest, _unopened(catalog, settings, made, manifest, sealed)


def _unopened(
    catalog: Catalog, settings: Settings, copy: Copy, manifest: Manifest, sealed: Path
) -> RequorumError | None:
    """Why an available identity cannot open the copy or its unlock key. The operator learns it now, not in a recovery."""
    if not at_hand(settings.backup.identity_file):
        return None
    try:
        archive = catalog.opened(copy, manifest, sealed)
        Escrow(settings, catalog.store, now=True).check(archive, manifest, whose=copy.name)
    except RequorumError as error:
        return error
    return None
