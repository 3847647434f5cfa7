"""Somebody who reads the whole bucket, and has no identity: learns what docs/security.md lists, and no secret."""

import json
import re
from collections.abc import Iterator

import pyrage
import pytest

from recovery.copies.manifest import Manifest
from recovery.s3.keys import ARCHIVE, MANIFEST
from tests.fake.cases import Case, Theatre, names
from tests.fake.wires import wired
from tests.replay.recovering import recover
from tests.unit import factories as make

SECRETS = re.compile(rb"PRIVATE KEY|AGE-SECRET-KEY|SWMTKN-|SWMKEY-|aws_secret|AWS_SECRET", re.IGNORECASE)
TOLD = frozenset(
    {
        "cluster_id", "node_id", "manager", "address", "engine", "taken", "kind", "inventory", "version_index", "files", "size",
        "sha256", "archive_size", "archive_sha256", "raw_bytes", "ca_sha256", "ca", "position", "autolock", "stopped_seconds",
        "key_fingerprint", "ca_rotations", "recipients", "proof", "signature", "format",
    }
)  # fmt: skip
"""The fields of a manifest. A new one is a new answer to what a reader learns: put it into docs/security.md."""


@pytest.fixture(scope="module")
def objects() -> Iterator[dict[str, bytes]]:
    """Everything in the bucket after a cluster was built, copied, lost and recovered."""
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset(names(3))))
        recover(scene.settings)
        yield dict(wires.objects)


def test_no_object_but_sealed_ones_holds_a_secret(objects: dict[str, bytes]) -> None:
    sealed = {key: content for key, content in objects.items() if key.endswith(".age")}
    plain = {key: content for key, content in objects.items() if key not in sealed}
    assert {key.split("/")[2] for key in plain} >= {"reports", "manager-a"}
    assert [key for key, content in plain.items() if SECRETS.search(content)] == []
    assert len(sealed) > 3


def test_what_is_sealed_opens_for_nobody_without_an_identity(objects: dict[str, bytes]) -> None:
    stranger = pyrage.x25519.Identity.generate()
    for key, content in objects.items():
        if key.endswith(ARCHIVE):
            assert content.startswith(b"age-encryption.org/v1")
            with pytest.raises(pyrage.DecryptError):
                pyrage.decrypt(content, [stranger])
            assert pyrage.decrypt(content, [make.IDENTITY])


def test_a_manifest_tells_what_is_documented_and_no_more(objects: dict[str, bytes]) -> None:
    manifests = [json.loads(content) for key, content in objects.items() if key.endswith(MANIFEST)]
    assert len(manifests) > 3
    assert {field for one in manifests for field in one} <= TOLD
    assert {*Manifest.__dataclass_fields__} - {"strange"} <= TOLD
