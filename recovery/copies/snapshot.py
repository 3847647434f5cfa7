"""A copy of a manager's swarm directory: taken on the node, proven there in a sandbox, and sealed before it leaves.

It is taken while the engine runs ("hot"), or while it is stopped ("cold"). While the engine runs, tar reports that a file
changed as it was read, which is expected. The archive is read back and hashed, and restored once, before the copy is valid.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from time import sleep
from typing import Any

from recovery.copies.manifest import Manifest, Proof, Signature, Verdict, from_json
from recovery.copies.torn_key import require_key_file
from recovery.errors import CommandFailed, DamagedCopy, EngineError
from recovery.node import data_root, program
from recovery.node.engine import Engine
from recovery.node.shell import DATA_ROOT, Machine, Shell
from recovery.onnode import archive, copying
from recovery.onnode.archive import FileEntry
from recovery.swarm import rotation
from recovery.swarm.certificate import identity
from recovery.swarm.key_file import UnlockKey, WrongKey, unlock
from recovery.swarm.wal import Position
from recovery.swarm.workload import Inventory

SECONDS = 300
TRIES, PAUSE = 3, 1.0
"""Of a hot copy that lags, and seconds between them: a leader speaks to each follower once a second (swarmkit, manager/state/raft:
TickInterval), and repeats what that lacks."""
UNKNOWN_ENGINE = "unknown"


@dataclass(frozen=True)
class Before:
    """What a manager's engine reports before the copy is taken."""

    engine: Engine
    info: Mapping[str, Any]
    inventory: Inventory
    key: UnlockKey | None
    """The unlock key of an autolocked swarm."""
    ca_rotations: int

    @property
    def root(self) -> str:
        """Where the engine keeps its data."""
        return self.info.get("DockerRootDir") or DATA_ROOT


@dataclass(frozen=True)
class Staged:
    """A copy in a folder on its node, until the context that took it ends."""

    folder: PurePosixPath
    manifest: Manifest
    certificate: str
    locked_key: bytes | None
    """The key file, if it is locked."""
    opened: bytes = b""
    """The opened key file, if it is locked and the unlock key is known; else empty."""
    cut: str = ""
    """What was wrong with the log, if this copy has a repaired one."""
    claimed: int = 0
    """The last entry that the damaged log shows, as far as it can be read without its checksums."""


def take(shell: Shell, sealed: Path, *, recipients: tuple[str, ...], keep: Callable[[UnlockKey], None]) -> Manifest:
    """Copy the manager's swarm directory into the local file ``sealed`` while its engine runs.

    ``keep`` is as in `prepare`. Raises: as `prepare` and `hot`.
    """
    with hot(shell, prepare(shell, keep)) as copy:
        return finish(shell, copy, sealed, recipients)


def take_leaderless(
    shell: Shell,
    sealed: Path,
    opening: Callable[[bytes], bytes],
    *,
    recipients: tuple[str, ...],
    damaged: bool = False,
) -> Manifest:
    """Copy the swarm directory of a manager without a leader. Its inventory is unknown, so the copy is not proven.

    ``opening`` returns a locked key file without its lock, or nothing if no unlock key is there. Then nobody signs the copy.
    A ``damaged`` raft log is copied as it is. Raises: CommandFailed, Silent; DamagedCopy when the copy is not whole.
    """
    with staged(shell, how=copying.DAMAGED if damaged else copying.HOT) as copy:
        opened = opening(copy.locked_key) if copy.locked_key else b""
        return _seal(shell, replace(copy, opened=opened), sealed, recipients)


def look(shell: Shell) -> tuple[Position, bool]:
    """Where a manager's log ends, and whether its key file is locked; nothing leaves the node. Raises: as `take_leaderless`."""
    with staged(shell) as copy:
        return copy.manifest.position, copy.locked_key is not None


def prepare(shell: Shell, keep: Callable[[UnlockKey], None]) -> Before:
    """Ask the manager's engine for what its copy must hold. ``keep`` receives the unlock key of an autolocked swarm.

    Raises: EngineError when the node is no manager of a swarm with a leader; Silent.
    """
    engine = Engine(shell)
    info = engine.info()
    if not info["Swarm"].get("ControlAvailable"):
        raise EngineError(
            "taking a copy",
            "the node is not a manager of a swarm with a leader",
            remedy="find out which managers are down: requorum status",
            node=shell.node.name,
            code="no-leader",
        )
    inventory = engine.inventory()
    key = engine.unlock_key() if engine.autolocked else None
    if key:
        keep(key)
    return Before(engine, info, inventory, key, rotation.count(engine.options()))


@contextmanager
def hot(shell: Shell, before: Before) -> Iterator[Staged]:
    """A copy that is taken on the node while its engine runs.

    `Engine.settle` returns once a majority has its entry, and the copied manager may get that entry a moment later.
    So the copy is taken again if its log does not yet hold the newest change of ``before``. If the log still lags after the
    last try, the copy is used anyway, and its proof reports that.

    Raises: EngineError, CommandFailed, Silent; DamagedCopy when the copy is not whole.
    """
    for left in reversed(range(TRIES)):
        before.engine.settle()
        with staged(shell, before.root) as copy:
            if not left or not _lags(copy.manifest, before.inventory.index):
                yield _complete(copy, before, copying.HOT, before.engine)
                return
        sleep(PAUSE)


@contextmanager
def cold(shell: Shell, before: Before, back: Callable[[UnlockKey | None], None]) -> Iterator[Staged]:
    """A copy that is taken on the node while its engine is stopped. It is tried once, so that no engine is stopped twice.

    ``back`` receives the unlock key of an autolocked swarm, and waits until the manager takes part again. It is also called
    when the copy failed or was interrupted, because the engine may have stopped. Raises: as `hot`, and as ``back``.
    """
    before.engine.settle()
    with staged(shell, before.root, copying.COLD, _brought_back(partial(back, before.key))) as copy:
        yield _complete(copy, before, copying.COLD, Engine(shell))


def finish(shell: Shell, copy: Staged, sealed: Path, recipients: tuple[str, ...]) -> Manifest:
    """Prove the copy in a sandbox on the node, and fetch it, sealed, into the local file ``sealed``.

    The manifest's proof is the result of the restore in the sandbox. Raises: CommandFailed, Silent; DamagedCopy when not
    all of it arrives.
    """
    proof = prove(shell, copy.folder / copying.ARCHIVE, copy.manifest, copy.opened, datetime.now(UTC))
    return _seal(shell, replace(copy, manifest=replace(copy.manifest, proof=proof)), sealed, recipients)


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


def tried(shell: Shell, copy: Staged, opened: bytes) -> Proof:
    """Restore a copy with a repaired log in a sandbox; what came up is beyond its manifest, which lists nothing.

    ``opened`` is as in `prove`. Raises: Silent.
    """
    return prove(shell, copy.folder / copying.ARCHIVE, copy.manifest, opened, datetime.now(UTC))


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


def _complete(copy: Staged, before: Before, kind: str, engine: Engine) -> Staged:
    """The copy with what only a leader knows. Its inventory are the objects that the swarm had before and after the copy.

    So the copy holds every object that it lists. Raises: EngineError; DamagedCopy when the copy is of another node, or the
    unlock key of before does not open its key file.
    """
    manifest = replace(
        copy.manifest,
        kind=kind,
        engine=before.info["ServerVersion"],
        inventory=before.inventory.common_with(engine.inventory()),
        autolock=before.key is not None,
        key_fingerprint=before.key.fingerprint if before.key else None,
        ca_rotations=before.ca_rotations,
    )
    swarm = before.info["Swarm"]
    if (manifest.node_id, manifest.cluster_id) != (swarm["NodeID"], swarm["Cluster"]["ID"]):
        raise DamagedCopy(
            f"checking the copy of {manifest.manager}",
            "its certificate belongs to another node",
            remedy="compare the nodes with the stack file: requorum status",
            code="copy-damaged",
        )
    return replace(copy, manifest=manifest, opened=_opened(copy.locked_key, before.key, manifest.manager))


@contextmanager
def _brought_back(back: Callable[[], None]) -> Iterator[None]:
    """Call ``back`` after the block, also after an interrupt: the block may have stopped the engine."""
    try:
        yield
    finally:
        back()


@contextmanager
def staged(
    shell: Shell,
    root: str = "",
    how: str = copying.HOT,
    around: AbstractContextManager[None] | None = None,
) -> Iterator[Staged]:
    """A copy on the node until the context ends, with a manifest that lacks what only a leader knows.

    ``root`` is the folder of the engine's data, if the engine has told it. The copy is taken inside ``around``.
    """
    taken, found = datetime.now(UTC), None
    try:
        with around or nullcontext():
            found = program.run(shell, "take", root or data_root.of(shell), how)
        yield read_taken(shell.node, found, taken)
    finally:
        if found:
            program.clear(shell, found["folder"])


def read_taken(node: Machine, found: Mapping[str, Any], taken: datetime) -> Staged:
    """The copy that the program on the node reports. Raises: DamagedCopy when its certificate cannot be read."""
    node_id, cluster_id = identity(found["certificate"])
    locked = found["locked_key"]
    manifest = Manifest(
        cluster_id=cluster_id,
        node_id=node_id,
        manager=node.name,
        address=str(node.address),
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
        ca=found["ca"],
        position=Position(*found["position"]),
        autolock=locked is not None,
    )
    return Staged(
        PurePosixPath(found["folder"]),
        manifest,
        found["certificate"],
        None if locked is None else locked.encode(),
        cut=found.get("cut", ""),
        claimed=found.get("claimed", 0),
    )


def _seal(shell: Shell, copy: Staged, sealed: Path, recipients: tuple[str, ...]) -> Manifest:
    """Seal the copy and sign its manifest on the node, and fetch the sealed copy.

    Raises: CommandFailed, Silent; DamagedCopy when not all of it arrives, or the signature does not match.
    """
    manifest = replace(copy.manifest, recipients=recipients)
    given = {"manifest": manifest.to_dict(), "opened": copy.opened.decode()}
    made = program.run(shell, "seal", str(copy.folder), *recipients, stdin=json.dumps(given).encode())
    shell.run(["cat", made["file"]], stdout=sealed, seconds=SECONDS, most=min(made["size"], archive.LARGEST))
    signature = Signature(copy.certificate, made["signature"]) if made["signature"] else None
    manifest = replace(manifest, size=made["size"], sha256=made["sha256"], signature=signature)
    source = f"the copy of {manifest.manager}"
    manifest.check_sealed(sealed, source=source)
    return from_json(manifest.to_json(), source=source)


def _opened(locked: bytes | None, key: UnlockKey | None, manager: str) -> bytes:
    """The opened key file; empty if it is not locked. Raises: DamagedKeyFile; DamagedCopy when the unlock key does
    not open it."""
    doing = f"checking the copy of {manager}"
    if locked is None:
        return b""
    if not require_key_file(locked, node=manager) or key is None:
        raise DamagedCopy(
            doing,
            "its key file is locked, and the swarm has no unlock key: autolock was changed a moment ago",
            remedy="take the copy again: requorum copies take",
            code="unlock-key-changed",
        )
    try:
        return unlock(locked, key)
    except WrongKey:
        raise DamagedCopy(
            doing,
            "the swarm's unlock key does not open its key file: the key was changed a moment ago",
            remedy="take the copy again: requorum copies take",
            code="unlock-key-changed",
        ) from None
