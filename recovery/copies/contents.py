"""Reads the archive of a copy and compares it with its manifest."""

import hashlib
from pathlib import Path
from tarfile import TarError
from typing import IO, cast

from backports import zstd

from recovery.copies.manifest import NO_REMEDY, WITH_INVENTORY, Manifest, check_bytes
from recovery.errors import DamagedCopy
from recovery.onnode import archive
from recovery.onnode.archive import Content
from recovery.swarm.certificate import identity, is_managers, public_key
from recovery.swarm.key_file import is_locked
from recovery.swarm.key_file import public_key as public_key_of


def key_file(path: Path, *, source: str) -> bytes:
    """The manager's key file in an archive. It is a secret, unless it is locked. Raises: DamagedCopy."""
    return read(path, source=source, damaged=True).key


def check(path: Path, manifest: Manifest, *, source: str) -> None:
    """Read the archive whole and compare it with its manifest: size, digest, every file, identity, CA.

    A locked key file is not compared with its certificate: that takes the unlock key (`require_own_key`).

    Raises: DamagedCopy naming the first difference.
    """
    doing = f"verifying {source}"
    check_bytes(path, manifest.archive_size, manifest.archive_sha256, "the archive", doing)
    content = read(path, source=source, damaged=manifest.kind not in WITH_INVENTORY)
    if content.files != manifest.files:
        changed = sorted({entry.path for entry in {*content.files} ^ {*manifest.files}})
        why = f"these files differ from its manifest: {', '.join(changed[:3])}"
        raise DamagedCopy(doing, why, remedy=NO_REMEDY, code="copy-damaged")
    if content.position != manifest.position:
        why = "its raft log does not end where its manifest says"
        raise DamagedCopy(doing, why, remedy=NO_REMEDY, code="copy-damaged")
    if identity(content.certificate.decode(errors="replace")) != (manifest.node_id, manifest.cluster_id):
        why = "its certificate belongs to another node or another swarm"
        raise DamagedCopy(doing, why, remedy=NO_REMEDY, code="copy-forged")
    if hashlib.sha256(content.ca).hexdigest() != manifest.ca_sha256:
        why = "its CA is not the one that its manifest names"
        raise DamagedCopy(doing, why, remedy=NO_REMEDY, code="copy-forged")
    if manifest.signature and manifest.signature.certificate.encode() != content.certificate:
        why = "its manifest was signed with another certificate than the one in the archive"
        raise DamagedCopy(doing, why, remedy=NO_REMEDY, code="copy-forged")
    try:
        if not is_managers(content.certificate, content.ca):
            why = "its CA did not issue the manager's certificate"
            raise DamagedCopy(doing, why, remedy=NO_REMEDY, code="copy-forged")
    except ValueError as error:
        why = f"its certificates cannot be read: {error}"
        raise DamagedCopy(doing, why, remedy=NO_REMEDY, code="copy-damaged") from None
    try:
        locked = is_locked(content.key)
    except ValueError as error:
        raise _unreadable_key(doing, error) from None
    if not locked:
        require_own_key(content, content.key, source=source)


def require_own_key(content: Content, opened: bytes, *, source: str) -> None:
    """Refuse an archive whose key file, without its lock, is not its certificate's. Raises: DamagedCopy."""
    doing = f"verifying {source}"
    try:
        fits = public_key_of(opened) == public_key(content.certificate)
    except ValueError as error:
        raise _unreadable_key(doing, error) from None
    if not fits:
        why = "its key does not belong to its certificate"
        raise DamagedCopy(doing, why, remedy=NO_REMEDY, code="copy-forged")


def _unreadable_key(doing: str, error: ValueError) -> DamagedCopy:
    return DamagedCopy(doing, f"its key file cannot be read: {error}", remedy=NO_REMEDY, code="copy-damaged")


def read(path: Path, *, source: str, damaged: bool = False) -> Content:
    """The content of an archive. The raft log in it may be unreadable if it is of a ``damaged`` directory.

    Raises: DamagedCopy if the archive is damaged, or holds no manager's swarm directory.
    """
    doing = f"reading {source}"
    try:
        with zstd.open(path, "rb") as plain:
            return archive.read(cast("IO[bytes]", plain), damaged=damaged)
    except archive.Unfit as error:
        raise DamagedCopy(doing, str(error), remedy=NO_REMEDY, code="copy-damaged") from None
    except (TarError, zstd.ZstdError, EOFError, OSError) as error:
        why = f"the archive is truncated or altered ({error})"
        raise DamagedCopy(doing, why, remedy=NO_REMEDY, code="copy-damaged") from None
