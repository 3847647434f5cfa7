"""Reads, damages and restores the copies in S3, object by object and without the catalog."""

import base64
import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pyrage
from backports import zstd

from recovery.copies import snapshot
from recovery.copies.copy import TIME
from recovery.copies.manifest import Manifest, Signature
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.onnode import archive, copying
from recovery.settings import Settings
from recovery.swarm.machines import Node, SwarmOptions
from tests import listing
from tests.chaos.oracle import Copies

ARCHIVE, MANIFEST = ".tar.zst.age", ".manifest.json"
Objects = Mapping[str, bytes]
"""The content of objects by key."""


@dataclass(frozen=True)
class Foreign:
    """A copy of another swarm, with its manifest."""

    manifest: Manifest
    sealed: bytes

    @classmethod
    def of(cls, settings: Settings, node: Node) -> "Foreign":
        """Create a swarm on a separate node and copy it."""
        with tempfile.TemporaryDirectory() as folder, Shell(node, settings.ssh) as shell:
            Engine(shell).init(SwarmOptions())
            sealed = Path(folder) / "copy"
            manifest = snapshot.take(shell, sealed, recipients=settings.backup.recipients, keep=lambda _: None)
            return cls(manifest, sealed.read_bytes())


@dataclass(frozen=True)
class Seals:
    """Opens and seals with the identity, because an attacker may have it."""

    identity: pyrage.x25519.Identity

    @classmethod
    def of(cls, settings: Settings) -> "Seals":
        """Use the identity of the settings."""
        assert settings.backup.identity_file
        lines = settings.backup.identity_file.read_text().split()
        (text,) = [line for line in lines if line.startswith("AGE-SECRET-KEY-")]
        return cls(pyrage.x25519.Identity.from_str(text))

    def open(self, sealed: bytes) -> bytes:
        """Decrypt sealed content."""
        return bytes(pyrage.decrypt(sealed, [self.identity]))

    def seal(self, content: bytes) -> bytes:
        """Encrypt content, so that only the identity opens it."""
        return bytes(pyrage.encrypt(content, [self.identity.to_public()]))


class Bucket:
    """The cluster's archives and manifests in the bucket. Other objects below the prefix stay as they are."""

    def __init__(self, settings: Settings) -> None:
        self._seals = Seals.of(settings)
        self._bucket = settings.backup.bucket
        self._prefix = f"{settings.backup.prefix}/{settings.cluster}/"
        self._s3 = boto3.Session().client(
            "s3", endpoint_url=settings.backup.endpoint, region_name=settings.backup.region
        )

    def keys(self) -> list[str]:
        """The keys of archives and manifests."""
        return [key for key in self._keys() if key.endswith((ARCHIVE, MANIFEST))]

    def empty(self) -> None:
        """Remove everything below the prefix."""
        for key in self._keys():
            self._s3.delete_object(Bucket=self._bucket, Key=key)

    def _keys(self) -> list[str]:
        return listing.keys(self._s3, self._bucket, self._prefix)

    def read(self) -> dict[str, bytes]:
        """Read every archive and manifest."""
        keys = self.keys()
        with ThreadPoolExecutor(max_workers=8) as pool:
            return dict(zip(keys, pool.map(self._get, keys), strict=True))

    def become(self, before: Objects, wanted: Objects) -> None:
        """Change the objects from ``before`` to ``wanted``. Other objects stay."""
        for key in before.keys() - wanted.keys():
            self._s3.delete_object(Bucket=self._bucket, Key=key)
        for key in sorted(wanted, key=lambda key: key.endswith(MANIFEST)):
            if before.get(key) != wanted[key]:
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=wanted[key])

    def spoil(self, objects: Objects, state: Copies, managers: Iterable[str], foreign: Foreign) -> dict[str, bytes]:
        """Bring the newest copies into a state. Returns the objects afterwards."""
        names = list(managers)
        wanted = spoilt(objects, state, names, self._seals)
        if state is Copies.FOREIGN:
            for number, name in enumerate(names[: len(names) // 2 + 1]):
                wanted |= self._foreign(foreign, name, datetime.now(UTC) + timedelta(milliseconds=number))
        self.become(objects, wanted)
        return wanted

    def _foreign(self, foreign: Foreign, name: str, taken: datetime) -> dict[str, bytes]:
        content = archive.read(io.BytesIO(zstd.decompress(self._seals.open(foreign.sealed))))
        manifest = _signed(replace(foreign.manifest, manager=name, taken=taken), content)
        stem = f"{self._prefix}{name}/swarm-{manifest.engine}-{name}-{taken.strftime(TIME)}"
        return {stem + ARCHIVE: foreign.sealed, stem + MANIFEST: manifest.to_json()}

    def _get(self, key: str) -> bytes:
        content: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return content


def _signed(manifest: Manifest, content: archive.Content) -> Manifest:
    """Sign a manifest with the key of the copy's own node."""
    with tempfile.TemporaryDirectory() as folder:
        statement = Path(folder) / copying.STATEMENT
        statement.write_bytes(copying.statement(manifest.to_dict()))
        value = base64.b64encode(copying.sign(statement, content.key)).decode()
    return replace(manifest, signature=Signature(content.certificate.decode(), value))


def spoilt(objects: Objects, state: Copies, managers: Iterable[str], seals: Seals) -> dict[str, bytes]:
    """The objects after the newest copies were cut, changed or removed."""
    if state is Copies.MISSING:
        return {}
    after = dict(objects)
    for number, key in enumerate(newest(objects, managers).values()):
        if state is Copies.TORN:
            after[key] = objects[key][: len(objects[key]) // 2]
        elif state is Copies.TAMPERED:
            after |= _tampered(objects, key, seals, fitted=number % 2 == 1)
    return after


def manifests(objects: Objects) -> dict[str, dict[str, Any]]:
    """The manifests by the key of their archive, oldest first."""
    read = {key.removesuffix(MANIFEST) + ARCHIVE: json.loads(objects[key]) for key in objects if key.endswith(MANIFEST)}
    return dict(sorted(read.items(), key=lambda pair: str(pair[1]["taken"])))


def newest(objects: Objects, managers: Iterable[str]) -> dict[str, str]:
    """The key of the archive of each manager's newest hot copy."""
    hot = {text["manager"]: key for key, text in manifests(objects).items() if text["kind"] == "hot"}
    return {name: hot[name] for name in managers}


def pruned(objects: Objects, managers: Iterable[str]) -> dict[str, bytes]:
    """The objects of only the newest hot copy of each manager."""
    stems = {key.removesuffix(ARCHIVE) for key in newest(objects, managers).values()}
    return {key: objects[key] for key in objects if key.removesuffix(ARCHIVE).removesuffix(MANIFEST) in stems}


def _tampered(objects: Objects, key: str, seals: Seals, *, fitted: bool) -> dict[str, bytes]:
    """The copy with one changed byte, packed and sealed again.

    With ``fitted``, sizes and digests of the manifest match.
    """
    plain = bytearray(zstd.decompress(seals.open(objects[key])))
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        member = next(member for member in tar if member.isreg() and member.size and not member.issparse())
    plain[member.offset_data] ^= 1
    packed = zstd.compress(bytes(plain))
    sealed = seals.seal(packed)
    if not fitted:
        return {key: sealed}
    text_key = key.removesuffix(ARCHIVE) + MANIFEST
    fit = {
        "size": len(sealed),
        "sha256": hashlib.sha256(sealed).hexdigest(),
        "archive_size": len(packed),
        "archive_sha256": hashlib.sha256(packed).hexdigest(),
    }
    return {key: sealed, text_key: json.dumps({**json.loads(objects[text_key]), **fit}).encode()}
