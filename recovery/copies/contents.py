"""What the archive of a copy holds, read here and compared with its manifest."""

import hashlib
from pathlib import Path
from tarfile import TarError
from typing import IO, cast

from backports import zstd

from recovery.copies.manifest import NO_REMEDY, Manifest, check_bytes
from recovery.errors import DamagedCopy
from recovery.onnode import archive
from recovery.onnode.archive import Content
from recovery.swarm.certificate import identity, is_managers, public_key
from recovery.swarm.key_file import is_locked
from recovery.swarm.key_file import public_key as public_key_of


def key_file(path: Path, *, source: str) -> bytes:
    """The manager's key file in an archive: a secret, unless it is locked. Raises: DamagedCopy."""
    return read(path, source=source).key


def check(path: Path, manifest: Manifest, *, source: str) -> None:
    """Read the archive whole and compare it with its manifest: size, digest, every file, identity, CA.

    A key file that is locked is not compared with its certificate: that takes the unlock key.

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
    if hashlib.sha256(content.ca).hexdigest() != manifest.ca_sha256:
        raise DamagedCopy(doing, "the CA inside is not the manifest's", remedy=NO_REMEDY)
    if manifest.signature and manifest.signature.certificate.encode() != content.certificate:
        raise DamagedCopy(doing, "it was signed under another certificate than the one inside", remedy=NO_REMEDY)
    try:
        if not is_managers(content.certificate, content.ca):
            raise DamagedCopy(doing, "the CA inside did not issue the manager's certificate", remedy=NO_REMEDY)
    except ValueError as error:
        raise DamagedCopy(doing, f"its certificates: {error}", remedy=NO_REMEDY) from None
    try:
        fits = is_locked(content.key) or public_key_of(content.key) == public_key(content.certificate)
    except ValueError as error:
        raise DamagedCopy(doing, f"its key file: {error}", remedy=NO_REMEDY) from None
    if not fits:
        raise DamagedCopy(doing, "the key inside is not the certificate's", remedy=NO_REMEDY)


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
