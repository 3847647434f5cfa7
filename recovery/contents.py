"""What the archive of a copy holds, read here and compared with its manifest."""

from pathlib import Path
from tarfile import TarError
from typing import IO, cast

from backports import zstd

from recovery.certificate import identity
from recovery.errors import DamagedCopy
from recovery.keyfile import is_locked
from recovery.manifest import NO_REMEDY, Manifest, check_bytes
from recovery.onnode import archive
from recovery.onnode.archive import Content


def key_file(path: Path, *, source: str) -> bytes:
    """The manager's key file in an archive: a secret, unless it is locked. Raises: DamagedCopy."""
    return read(path, source=source).key


def check(path: Path, manifest: Manifest, *, source: str) -> None:
    """Read the archive whole and compare it with its manifest: size, digest, every file, identity.

    Raises: DamagedCopy naming the first difference.
    """
    doing = f"verifying {source}"
    check_bytes(path, manifest.archive_size, manifest.archive_sha256, "the archive", doing)
    content = read(path, source=source)
    if content.files != manifest.files:
        changed = sorted({entry.path for entry in {*content.files} ^ {*manifest.files}})
        raise DamagedCopy(doing, f"files differ from the manifest: {', '.join(changed[:3])}", remedy=NO_REMEDY)
    if content.position != manifest.position:
        raise DamagedCopy(doing, "its raft log ends elsewhere than the manifest says", remedy=NO_REMEDY)
    if identity(content.certificate.decode(errors="replace")) != (manifest.node_id, manifest.cluster_id):
        raise DamagedCopy(doing, "the certificate inside is another node's or another swarm's", remedy=NO_REMEDY)
    try:
        is_locked(content.key)
    except ValueError as error:
        raise DamagedCopy(doing, f"its key file: {error}", remedy=NO_REMEDY) from None


def read(path: Path, *, source: str) -> Content:
    """What an archive holds. Raises: DamagedCopy when it is torn, or none of a manager's swarm directory."""
    doing = f"reading {source}"
    try:
        with zstd.open(path, "rb") as plain:
            return archive.read(cast("IO[bytes]", plain))
    except archive.Unfit as error:
        raise DamagedCopy(doing, str(error), remedy=NO_REMEDY) from None
    except (TarError, zstd.ZstdError, EOFError, OSError) as error:
        raise DamagedCopy(doing, f"the archive is torn or altered ({error})", remedy=NO_REMEDY) from None
