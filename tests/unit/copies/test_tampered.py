"""What was altered after it was sealed or written down does not open."""

from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from recovery.copies import drilled
from recovery.copies.manifest import from_json
from recovery.errors import DamagedCopy
from recovery.node.signing import Operators
from recovery.s3 import sealing
from recovery.s3.sealing import Identities, Unreadable
from recovery.settings import Settings
from tests.unit import factories as make

SEALED = sealing.seal(bytes(200_000), [str(make.IDENTITY.to_public())])
BODY = SEALED.index(b"\n--- ") + 49
"""Where the header with its authentication ends."""
CHUNK = (64 << 10) + 16
"""Of the payload, sealed, after its nonce of 16 bytes (age-encryption.org/v1)."""
TAMPERED = {
    "nothing": b"",
    "no age": b"x" * 1000,
    "the version": SEALED.replace(b"/v1", b"/v2", 1),
    "a recipient": SEALED[:60] + bytes([SEALED[60] ^ 1]) + SEALED[61:],
    "the header's authentication": SEALED[: BODY - 20] + bytes([SEALED[BODY - 20] ^ 1]) + SEALED[BODY - 19 :],
    "the nonce": SEALED[:BODY] + bytes([SEALED[BODY] ^ 1]) + SEALED[BODY + 1 :],
    "a chunk": SEALED[: BODY + 5000] + bytes([SEALED[BODY + 5000] ^ 1]) + SEALED[BODY + 5001 :],
    "the last byte": SEALED[:-1] + bytes([SEALED[-1] ^ 1]),
    "cut in the header": SEALED[:50],
    "cut after the header": SEALED[:BODY],
    "cut in a chunk": SEALED[: BODY + 16 + CHUNK + 100],
    "cut after a chunk": SEALED[: BODY + 16 + CHUNK],
    "two chunks exchanged": SEALED[: BODY + 16]
    + SEALED[BODY + 16 + CHUNK : BODY + 16 + 2 * CHUNK]
    + SEALED[BODY + 16 : BODY + 16 + CHUNK]
    + SEALED[BODY + 16 + 2 * CHUNK :],
    "more at its end": SEALED + b"x",
    "for somebody else": sealing.seal(b"x", [str(pyrage.x25519.Identity.generate().to_public())]),
}


@pytest.fixture
def identities() -> Iterator[Identities]:
    of: Settings = make.settings()
    return Identities(of.backup.identity_file, setting="backup.identityFile")


@pytest.mark.parametrize("sealed", TAMPERED.values(), ids=TAMPERED.keys())
def test_what_was_altered_after_it_was_sealed_does_not_open(
    tmp_path: Path, identities: Identities, sealed: bytes
) -> None:
    assert identities.unseal(SEALED) == bytes(200_000)
    assert sealed != SEALED
    (tmp_path / "sealed").write_bytes(sealed)
    with pytest.raises(Unreadable):
        identities.unseal(sealed)
    with pytest.raises(Unreadable):
        identities.unseal_file(tmp_path / "sealed", tmp_path / "plain")


def test_a_disk_that_is_full_is_not_the_copys_fault(tmp_path: Path, identities: Identities) -> None:
    (tmp_path / "sealed").write_bytes(SEALED)
    with pytest.raises(OSError, match="No space left"):
        identities.unseal_file(tmp_path / "sealed", Path("/dev/full"))


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"proof": ' * 100_000], ids=["lists", "objects"])
def test_a_manifest_nested_without_end_is_none(text: bytes) -> None:
    with pytest.raises(DamagedCopy, match="not a manifest"):
        from_json(text, source="it")
    of = make.settings()
    assert drilled.newest(Operators(of.ssh, of.operators), "drills/a.json", [text]) == (None, "it cannot be read")
