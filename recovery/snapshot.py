"""A copy of a manager's swarm directory: how it is taken, read and checked.

The archive is a sparse-aware tar compressed with zstd, holding ``swarm/…``. It is taken
while the engine runs ("hot"): tar then says that a file changed as it read it, which is
expected; what the archive really holds is read back and hashed before it counts.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from backports import zstd

from recovery.engine import Engine
from recovery.errors import DamagedCopy, EngineError
from recovery.keyfile import UnlockKey, is_locked, opens
from recovery.manifest import NO_REMEDY, FileEntry, Manifest
from recovery.model import Inventory
from recovery.settings import Node
from recovery.survey import DATA_ROOT, PLACED, identity
from recovery.transport import Shell
from recovery.wal import Position, position

SECONDS = 300
LARGEST = 8 * 1024**3
"""Bytes an archive may unpack to; a swarm directory beyond that is not one."""
TAKE = (
    'set -o pipefail; cd "$1"; '
    "{ tar --sparse --exclude='*.tmp' --exclude={placed} -cf - swarm 2>/dev/null || [ $? -eq 1 ]; } | zstd -q -3 -c"
).replace("{placed}", f"swarm/{PLACED}")
"""``*.tmp`` is the write-ahead log's preallocated next segment: all zeros, made anew on start."""
CERTIFICATE = "swarm/certificates/swarm-node.crt"
KEY = "swarm/certificates/swarm-node.key"
CA = "swarm/certificates/swarm-root-ca.crt"
WAL = "swarm/raft/wal-v3-encrypted/"
UNKNOWN_ENGINE = "unknown"


def _utc() -> datetime:
    return datetime.now(UTC)


def take(
    node: Node, shell: Shell, archive: Path, *, keep: Callable[[UnlockKey], None], now: Callable[[], datetime] = _utc
) -> Manifest:
    """Copy the manager's swarm directory into the local file ``archive``, its engine running on.

    The inventory is what the swarm held before and after: read first and then written out, so that the copy
    holds at least everything it lists, less what was removed while the copy was taken. The unlock key of an
    autolocked swarm is given to ``keep`` before, and must open what was copied.

    Raises: EngineError when the node is no manager of a swarm with a leader; CommandFailed, Silent;
    DamagedCopy when what arrived is not whole.
    """
    engine = Engine(shell)
    info = engine.info()
    if not info["Swarm"].get("ControlAvailable"):
        raise EngineError(
            "taking a copy",
            "the node is not a manager of a swarm with a leader",
            remedy="requorum status",
            node=node.name,
        )
    before = engine.inventory()
    engine.settle()
    key = engine.unlock_key() if engine.autolocked else None
    if key:
        keep(key)
    manifest, key_file = _fetch(node, shell, archive, info.get("DockerRootDir"), now())
    inventory = before.common_with(engine.inventory())
    if (manifest.node_id, manifest.cluster_id) != (info["Swarm"]["NodeID"], info["Swarm"]["Cluster"]["ID"]):
        raise DamagedCopy(
            f"checking the copy of {node.name}", "its certificate is another node's", remedy="requorum status"
        )
    if key and not opens(key, key_file):
        raise DamagedCopy(
            f"checking the copy of {node.name}",
            "the swarm's unlock key does not open it: the key was changed a moment ago",
            remedy="requorum backup, again",
        )
    return replace(
        manifest,
        kind="hot",
        engine=info["ServerVersion"],
        inventory=inventory,
        autolock=key is not None,
        key_fingerprint=key.fingerprint if key else None,
    )


def take_leaderless(node: Node, shell: Shell, archive: Path, *, now: Callable[[], datetime] = _utc) -> Manifest:
    """Copy what a manager without a leader holds; nobody can list its inventory.

    Raises: CommandFailed, Silent; DamagedCopy when what arrived is not whole.
    """
    return _fetch(node, shell, archive, None, now())[0]


def key_file(archive: Path, *, source: str) -> bytes:
    """The manager's key file in a copy: a secret, unless it is locked. Raises: DamagedCopy."""
    return read(archive, source=source)[1][KEY]


def _fetch(node: Node, shell: Shell, archive: Path, root: str | None, taken: datetime) -> tuple[Manifest, bytes]:
    """The copy's manifest without what only a leader knows, and the key file in it."""
    root = root or DATA_ROOT
    shell.run(["bash", "-c", TAKE, "take", root], stdout=archive, seconds=SECONDS)
    raw = shell.run(["du", "-s", "--block-size=1", f"{root}/swarm"], check=False).stdout.split()
    files, kept = read(archive, source=f"the copy of {node.name}")
    node_id, cluster_id = identity(kept[CERTIFICATE].decode(errors="replace"))
    manifest = Manifest(
        cluster_id=cluster_id,
        node_id=node_id,
        manager=node.name,
        address=str(node.address),
        engine=UNKNOWN_ENGINE,
        taken=taken,
        kind="safety",
        inventory=Inventory({}, 0),
        files=files,
        size=archive.stat().st_size,
        sha256=_sha256(archive),
        raw_bytes=int(raw[0]) if raw else 0,
        ca_sha256=hashlib.sha256(kept[CA]).hexdigest(),
        position=log_position(kept, source=f"the copy of {node.name}"),
        autolock=_locked(kept[KEY], source=f"the copy of {node.name}"),
    )
    return manifest, kept[KEY]


def _locked(key_file: bytes, *, source: str) -> bool:
    try:
        return is_locked(key_file)
    except ValueError as error:
        raise DamagedCopy(f"reading {source}", f"its key file: {error}", remedy=NO_REMEDY) from None


def log_position(kept: Mapping[str, bytes], *, source: str) -> Position:
    """Where the raft log among the kept files ends. Raises: DamagedCopy."""
    segments = [kept[path] for path in sorted(kept) if path.startswith(WAL)]
    try:
        return position(segments)
    except ValueError as error:
        raise DamagedCopy(f"reading {source}", f"its raft log: {error}", remedy=NO_REMEDY) from None


def check(archive: Path, manifest: Manifest, *, source: str) -> None:
    """Read the archive whole and compare it with its manifest: size, digest, every file, identity.

    Raises: DamagedCopy naming the first difference.
    """
    doing = f"verifying {source}"
    if (size := archive.stat().st_size) != manifest.size:
        raise DamagedCopy(doing, f"the archive has {size} bytes, its manifest says {manifest.size}", remedy=NO_REMEDY)
    if _sha256(archive) != manifest.sha256:
        raise DamagedCopy(doing, "the archive's SHA-256 is not the manifest's", remedy=NO_REMEDY)
    files, kept = read(archive, source=source)
    if files != manifest.files:
        changed = sorted({entry.path for entry in {*files} ^ {*manifest.files}})
        raise DamagedCopy(doing, f"files differ from the manifest: {', '.join(changed[:3])}", remedy=NO_REMEDY)
    if log_position(kept, source=source) != manifest.position:
        raise DamagedCopy(doing, "its raft log ends elsewhere than the manifest says", remedy=NO_REMEDY)
    if identity(kept[CERTIFICATE].decode(errors="replace")) != (manifest.node_id, manifest.cluster_id):
        raise DamagedCopy(doing, "the certificate inside is another node's or another swarm's", remedy=NO_REMEDY)


def read(archive: Path, *, source: str) -> tuple[tuple[FileEntry, ...], dict[str, bytes]]:
    """Every regular file's path, size and digest in the archive's order, and the content of certificates and key, and
    of the log's segments (without the zeros that follow what was written).

    Raises: DamagedCopy when the archive is torn, holds anything but plain files and folders below
    ``swarm/``, or lacks what a manager needs.
    """
    files: list[FileEntry] = []
    kept: dict[str, bytes] = {}
    with _opened(archive, source) as members:
        for member, content in members:
            digest, size, head = hashlib.sha256(), 0, bytearray()
            wanted = member in (CERTIFICATE, CA, KEY) or (member.startswith(WAL) and member.endswith(".wal"))
            for block in content:
                digest.update(block)
                size += len(block)
                if wanted and block.count(0) < len(block):
                    head += block
            if wanted:
                kept[member] = bytes(head)
            files.append(FileEntry(member, size, digest.hexdigest()))
    if not {CERTIFICATE, CA, KEY} <= kept.keys() or not any(path.startswith(WAL) for path in kept):
        raise DamagedCopy(f"reading {source}", "certificates or raft log are missing", remedy=NO_REMEDY)
    return tuple(files), kept


@contextmanager
def _opened(archive: Path, source: str) -> Iterator[Iterator[tuple[str, Iterator[bytes]]]]:
    try:
        with zstd.open(archive, "rb") as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
            yield _files(tar, source)
            while plain.read(1 << 20):
                pass  # to the end of the frame, so that a cut-off tail is noticed
    except (tarfile.TarError, zstd.ZstdError, EOFError, OSError) as error:
        raise DamagedCopy(f"reading {source}", f"the archive is torn or altered ({error})", remedy=NO_REMEDY) from None


def _files(tar: tarfile.TarFile, source: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    total = 0
    for member in tar:
        parts = member.name.split("/")
        if parts[0] != "swarm" or ".." in parts or not (member.isreg() or member.isdir() or member.issparse()):
            raise DamagedCopy(
                f"reading {source}", f"{member.name!r} does not belong in a swarm directory", remedy=NO_REMEDY
            )
        total += member.size
        if total > LARGEST:
            raise DamagedCopy(f"reading {source}", f"it unpacks to more than {LARGEST} bytes", remedy=NO_REMEDY)
        if not member.isdir() and (content := tar.extractfile(member)) is not None:
            yield member.name, iter(lambda: content.read(1 << 20), b"")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
