"""A copy of a manager's swarm directory: taken on the node, proven there in a sandbox, and sealed before it leaves.

It is taken while the engine runs ("hot"), or while it is stopped ("cold"). While the engine runs, tar reports that a file
changed as it was read, which is expected. The archive is read back and hashed, and restored once, before the copy is valid.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from time import sleep
from typing import Any

from recovery.copies.manifest import Manifest, Proof, Signature, Verdict, from_json
from recovery.errors import CommandFailed, DamagedCopy, EngineError
from recovery.node import program
from recovery.node.engine import Engine
from recovery.node.shell import DATA_ROOT, Shell
from recovery.onnode import copying
from recovery.onnode.archive import FileEntry
from recovery.swarm.certificate import identity
from recovery.swarm.key_file import UnlockKey, WrongKey, is_locked, unlock
from recovery.swarm.model import Inventory
from recovery.swarm.wal import Position

SECONDS = 300
TRIES, PAUSE = 3, 1.0
"""Of a hot copy that lags, and seconds between them: a leader speaks to each follower once a second (swarmkit, manager/state/raft:
TickInterval), and repeats what that lacks."""
UNKNOWN_ENGINE = "unknown"


@dataclass(frozen=True)
class _Held:
    """A copy on its node, and its key file if that is locked."""

    folder: PurePosixPath
    manifest: Manifest
    certificate: str
    locked_key: bytes | None


def _utc() -> datetime:
    return datetime.now(UTC)


def take(
    shell: Shell,
    sealed: Path,
    *,
    recipients: tuple[str, ...],
    keep: Callable[[UnlockKey], None],
    back: Callable[[UnlockKey | None], None] | None = None,
    copied: Callable[[], None] = lambda: None,
    now: Callable[[], datetime] = _utc,
) -> Manifest:
    """Copy the manager's swarm directory into the local file ``sealed`` while its engine runs.

    With ``back`` the engine is stopped for the copy ("cold"). ``back`` receives the unlock key of an autolocked swarm, and
    waits until the manager takes part again. It is also called when the copy failed or was interrupted, because the engine
    may have stopped. ``copied`` is called when the copy is on the node, before it is proven.

    The inventory lists the objects that the swarm had both before and after the copy, so the copy holds every object that
    it lists. ``keep`` receives the unlock key of an autolocked swarm before the copy is taken, and that key must open the
    copy. The manifest's proof is the result of the restore in the sandbox.

    Raises: EngineError when the node is no manager of a swarm with a leader; CommandFailed, Silent;
    DamagedCopy when what was copied is not whole.
    """
    node, engine = shell.node, Engine(shell)
    info = engine.info()
    if not info["Swarm"].get("ControlAvailable"):
        raise EngineError(
            "taking a copy",
            "the node is not a manager of a swarm with a leader",
            remedy="find out which managers are down: requorum status",
            node=node.name,
            code="no-leader",
        )
    before = engine.inventory()
    key = engine.unlock_key() if engine.autolocked else None
    if key:
        keep(key)
    how = copying.COLD if back else copying.HOT
    then = partial(back, key) if back else None
    with _held_beyond(before.index, engine, shell, info.get("DockerRootDir") or DATA_ROOT, now, how, then) as held:
        if back:
            engine = Engine(shell)
        manifest = replace(
            held.manifest,
            kind=how,
            engine=info["ServerVersion"],
            inventory=before.common_with(engine.inventory()),
            autolock=key is not None,
            key_fingerprint=key.fingerprint if key else None,
        )
        if (manifest.node_id, manifest.cluster_id) != (info["Swarm"]["NodeID"], info["Swarm"]["Cluster"]["ID"]):
            raise DamagedCopy(
                f"checking the copy of {node.name}",
                "its certificate belongs to another node",
                remedy="compare the nodes with the stack file: requorum status",
                code="copy-damaged",
            )
        copied()
        opened = _opened(held.locked_key, key, node.name)
        proof = prove(shell, held.folder / copying.ARCHIVE, manifest, opened, now())
        return _seal(shell, held, replace(manifest, proof=proof), opened, recipients, sealed)


def take_leaderless(
    shell: Shell, sealed: Path, *, recipients: tuple[str, ...], now: Callable[[], datetime] = _utc
) -> Manifest:
    """Copy the swarm directory of a manager without a leader. Its inventory is unknown, so the copy is not proven.

    Raises: CommandFailed, Silent; DamagedCopy when the copy is not whole.
    """
    with _held(shell, DATA_ROOT, now()) as held:
        return _seal(shell, held, held.manifest, b"", recipients, sealed)


def look(shell: Shell) -> tuple[Position, bool]:
    """Where a manager's log ends, and whether its key file is locked; nothing leaves the node. Raises: as `take_leaderless`."""
    with _held(shell, DATA_ROOT, _utc()) as held:
        return held.manifest.position, held.locked_key is not None


def prove(shell: Shell, copy: PurePosixPath, manifest: Manifest, opened: bytes, at: datetime) -> Proof:
    """Restore the archive ``copy``, which is on the node, in a sandbox there, and compare the result with the manifest.

    ``opened`` is the opened key file if the key file in the archive is locked; else empty. Raises: Silent.
    """
    given = {
        "copy": str(copy),
        "address": manifest.address,
        "unpacked": sum(entry.size for entry in manifest.files),
    }
    try:
        found = program.run(shell, "prove", json.dumps(given), stdin=opened)
    except DamagedCopy as error:
        return Proof(Verdict.FAILED, at, error.why)
    except CommandFailed as error:
        return Proof(Verdict.UNPROVEN, at, error.why)
    fault = compare(manifest, found)
    beyond = restored(found).missing_from(manifest.inventory)
    return Proof(
        Verdict.FAILED if fault else Verdict.PROVEN,
        at,
        fault,
        found["engine"],
        found["seconds"],
        found["recovery_seconds"],
        found["version_index"],
        {kind: tuple(ids) for kind, ids in beyond.items()},
    )


def compare(manifest: Manifest, found: dict[str, Any]) -> str:
    """How a restored swarm differs from the manifest; empty if it does not.

    The version of an object is the index that was committed before its own entry (swarmkit, manager/state/raft:
    GetVersion), so a log that holds the entry is committed beyond that version. The restored swarm itself cannot show
    this: a forced new cluster writes a dozen entries of its own before its objects can be read.
    """
    if found["cluster_id"] != manifest.cluster_id:
        return f"swarm {found['cluster_id']} came up instead of swarm {manifest.cluster_id}"
    if found["node_id"] != manifest.node_id:
        return f"it came up as node {found['node_id']} instead of node {manifest.node_id}"
    if missing := manifest.inventory.missing_from(restored(found)):
        shown = "; ".join(f"{kind} {', '.join(ids[:3])}" for kind, ids in missing.items())
        return f"the restored swarm lacks {shown}"
    if _lags(manifest, manifest.inventory.index):
        return (
            f"its log is committed up to entry {manifest.position.commit}, and the swarm's newest change has version "
            f"{manifest.inventory.index}, which comes later"
        )
    if found["version_index"] < manifest.inventory.index:
        return f"its newest change has version {found['version_index']}, and the swarm had version {manifest.inventory.index}"
    return ""


def restored(found: dict[str, Any]) -> Inventory:
    """The inventory of a restored swarm, as the sandbox reports it."""
    return Inventory({kind: frozenset(ids) for kind, ids in found["inventory"].items()}, found["version_index"])


def _lags(manifest: Manifest, index: int) -> bool:
    """Whether the log of a copy is not committed beyond the entry before the change of that version."""
    return manifest.position.commit <= index


@contextmanager
def _held_beyond(
    index: int,
    engine: Engine,
    shell: Shell,
    root: str,
    now: Callable[[], datetime],
    how: str,
    back: Callable[[], None] | None,
) -> Iterator[_Held]:
    """A copy as in `_held`, of a settled log, taken again if the log does not yet hold the change of version ``index``.

    `Engine.settle` returns once a majority has its entry, and the copied manager may get that entry a moment later.
    If the log still lags after the last try, the copy is used anyway, and its proof reports that. A cold copy is tried
    once, so that no engine is stopped twice.
    """
    for left in reversed(range(TRIES if how == copying.HOT else 1)):
        engine.settle()
        with _held(shell, root, now(), how, back) as held:
            if not left or not _lags(held.manifest, index):
                yield held
                return
        sleep(PAUSE)


@contextmanager
def _held(
    shell: Shell, root: str, taken: datetime, how: str = copying.HOT, back: Callable[[], None] | None = None
) -> Iterator[_Held]:
    """A copy on the node until the context ends, with a manifest that lacks what only a leader knows.

    ``back`` is called after the attempt to take the copy.
    """
    try:
        found = program.run(shell, "take", root, how)
    except BaseException:  # an interrupt too: the engine may have stopped
        if back:
            back()
        raise
    try:
        if back:
            back()
        node_id, cluster_id = identity(found["certificate"])
        manifest = Manifest(
            cluster_id=cluster_id,
            node_id=node_id,
            manager=shell.node.name,
            address=str(shell.node.address),
            engine=UNKNOWN_ENGINE,
            taken=taken,
            kind="safety",
            inventory=Inventory({}, 0),
            files=tuple(FileEntry(*entry) for entry in found["files"]),
            size=0,
            sha256="",
            archive_size=found["size"],
            archive_sha256=found["sha256"],
            raw_bytes=found["raw_bytes"],
            stopped_seconds=found["stopped_seconds"],
            ca_sha256=found["ca_sha256"],
            position=Position(*found["position"]),
            autolock=found["locked_key"] is not None,
        )
        locked = found["locked_key"].encode() if found["locked_key"] is not None else None
        yield _Held(PurePosixPath(found["folder"]), manifest, found["certificate"], locked)
    finally:
        program.clear(shell, found["folder"])


def _seal(
    shell: Shell, held: _Held, manifest: Manifest, opened: bytes, recipients: tuple[str, ...], sealed: Path
) -> Manifest:
    """Seal the copy and sign its manifest on the node, and fetch the sealed copy.

    Raises: CommandFailed, Silent; DamagedCopy when not all of it arrives, or the signature does not match.
    """
    manifest = replace(manifest, recipients=recipients)
    given = {"manifest": manifest.to_dict(), "opened": opened.decode()}
    made = program.run(shell, "seal", str(held.folder), *recipients, stdin=json.dumps(given).encode())
    shell.run(["cat", made["file"]], stdout=sealed, seconds=SECONDS)
    signature = Signature(held.certificate, made["signature"]) if made["signature"] else None
    manifest = replace(manifest, size=made["size"], sha256=made["sha256"], signature=signature)
    source = f"the copy of {manifest.manager}"
    manifest.check_sealed(sealed, source=source)
    return from_json(manifest.to_json(), source=source)


def _opened(locked: bytes | None, key: UnlockKey | None, manager: str) -> bytes:
    """The opened key file; empty if it is not locked. Raises: DamagedCopy when the unlock key does not open it."""
    doing = f"checking the copy of {manager}"
    if locked is None:
        return b""
    if not is_locked(locked) or key is None:
        raise DamagedCopy(
            doing,
            "its key file is locked, and the swarm has no unlock key: autolock was changed a moment ago",
            remedy="take the copy again: requorum backup",
            code="unlock-key-changed",
        )
    try:
        return unlock(locked, key)
    except WrongKey:
        raise DamagedCopy(
            doing,
            "the swarm's unlock key does not open its key file: the key was changed a moment ago",
            remedy="take the copy again: requorum backup",
            code="unlock-key-changed",
        ) from None
