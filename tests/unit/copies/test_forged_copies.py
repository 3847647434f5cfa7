"""Copies that somebody made or altered, with digests or seals that match: whose they are is noticed."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from syrupy.assertion import SnapshotAssertion

from recovery.copies import contents
from recovery.copies.catalog import Catalog
from recovery.copies.choice import newest_good
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Manifest, Proof, Verdict, from_json
from recovery.errors import DamagedCopy
from recovery.onnode import copying
from recovery.onnode.archive import CA, CERTIFICATE, KEY
from recovery.settings import Settings
from recovery.swarm import wal
from recovery.swarm.certificate import has_signed, is_managers
from recovery.swarm.key_file import unlock
from tests.unit import factories as make
from tests.unit.copies.stored import NAMES, put
from tests.unit.copies.test_snapshot import CONTENT, WAL, described, sealed_beside
from tests.unit.copies.test_snapshot import archive as packed
from tests.unit.swarm.test_key_file import PRIVATE, key_file, unlock_key
from tests.unit.swarm.test_wal import entry


@dataclass(frozen=True)
class Forged:
    """An archive with other content, its manifest with the digests of that, and the code of what gives it away."""

    content: dict[str, bytes]
    code: str
    claims: Callable[[Manifest], Manifest] = lambda manifest: manifest


def of_no_version(pem: bytes) -> bytes:
    """The certificate with a version number that X.509 does not have."""
    der = bytearray(x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER))
    der[der.index(b"\xa0\x03\x02\x01\x02") + 4] = 9
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(bytes(der)) + b"-----END CERTIFICATE-----\n"


FORGED = {
    "another manager's": Forged({CERTIFICATE: make.certificate("id-manager-b", make.CLUSTER)}, "copy-forged"),
    "another swarm's": Forged({CERTIFICATE: make.certificate("id-manager-a", "other")}, "copy-forged"),
    "no certificate": Forged({CERTIFICATE: b"-----BEGIN CERTIFICATE-----\n"}, "copy-forged"),
    "a certificate of no known version": Forged(
        {CERTIFICATE: of_no_version(make.certificate("id-manager-a", make.CLUSTER))}, "copy-forged"
    ),
    "no key file": Forged({KEY: b"nothing"}, "copy-damaged"),
    "a key file of nonsense": Forged({KEY: b"-----BEGIN PRIVATE KEY-----\nx\n\nx\n-----END "}, "copy-damaged"),
    "a log set back": Forged(
        {WAL: entry(1, 3)},
        "copy-damaged",
        lambda manifest: replace(manifest, position=wal.Position(2, 9, 8)),
    ),
    "a file changed": Forged(
        {"swarm/state.json": b"[1]"},
        "copy-damaged",
        lambda manifest: replace(manifest, files=make.manifest().files + manifest.files[:-1]),
    ),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_digests_made_to_match_do_not_hide_whose_it_is(
    tmp_path: Path, forged: Forged, snapshot: SnapshotAssertion
) -> None:
    path = packed(tmp_path / "copy", {**CONTENT, **forged.content})
    manifest = forged.claims(described(path))
    with pytest.raises(DamagedCopy) as found:
        contents.check(path, manifest, source="it")
    assert found.value.code == forged.code
    assert found.value.why == snapshot


STRANGER = ec.generate_private_key(ec.SECP256R1())
"""The key of whoever may write to the bucket, and has no node's."""
OWN = "of the forger"
"""Their own CA, for the swarm's ID."""


def own_key(key: ec.EllipticCurvePrivateKey = STRANGER) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def own_certificate(name: str = "id-manager-a") -> bytes:
    return make.certificate(name, make.CLUSTER, by=OWN, key=STRANGER)


@dataclass(frozen=True)
class Copied:
    """A copy as its objects are written, and why it is passed over."""

    why: str
    content: dict[str, bytes] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    """In the manifest before it is signed."""
    signed: Callable[[Manifest], Manifest] = make.signed
    edited: Callable[[dict[str, Any]], object] = lambda document: None
    """The manifest after it was signed."""


def edit(*path: str, to: Any) -> Callable[[dict[str, Any]], object]:
    def change(document: dict[str, Any]) -> None:
        *folders, last = path
        for folder in folders:
            document = document[folder]
        assert document[last] != to
        document[last] = to

    return change


ALTERED = "altered after it was signed"
COPIED = {
    "an object left out of the inventory": Copied(ALTERED, edited=edit("inventory", "services", to=[])),
    "a later time": Copied(ALTERED, edited=edit("taken", to=make.NOW.isoformat())),
    "a proof that it has not": Copied(
        ALTERED,
        claims={"proof": Proof(Verdict.FAILED, make.NOW, "torn")},
        edited=edit("proof", "verdict", to="proven"),
    ),
    "repacked, its digests made to match": Copied(
        ALTERED,
        {"swarm/state.json": b"forged"},
        signed=lambda made: replace(made, signature=make.manifest().signature),
    ),
    "no signature": Copied("not signed", signed=lambda made: replace(made, signature=None)),
    "no signature, as of a locked manager": Copied(
        "not signed", claims={"autolock": True}, signed=lambda made: replace(made, signature=None)
    ),
    "another key under the manager's certificate": Copied(
        "the signature does not match", signed=lambda made: make.signed(made, key=STRANGER)
    ),
    "another manager's signature": Copied(
        "signed by another node",
        signed=lambda made: make.signed(made, certificate_=make.certificate("id-manager-b", make.CLUSTER)),
    ),
    "another manager's certificate in it": Copied(
        "signed with another certificate", {CERTIFICATE: make.certificate("id-manager-a", make.CLUSTER, key=STRANGER)}
    ),
    "a worker's": Copied(
        "did not issue the manager's certificate",
        {CERTIFICATE: make.certificate("id-manager-a", make.CLUSTER, role="swarm-worker")},
        signed=lambda made: make.signed(
            made, certificate_=make.certificate("id-manager-a", make.CLUSTER, role="swarm-worker")
        ),
    ),
    "an own certificate": Copied(
        "did not issue the manager's certificate",
        {CERTIFICATE: own_certificate(), KEY: own_key()},
        signed=lambda made: make.signed(made, certificate_=own_certificate(), key=STRANGER),
    ),
    "an own CA": Copied(
        "its CA is not the swarm's",
        {CERTIFICATE: own_certificate(), KEY: own_key(), CA: make.ca(OWN)},
        signed=lambda made: make.signed(made, certificate_=own_certificate(), key=STRANGER),
    ),
    "an own CA, and the swarm's in the manifest": Copied(
        "its CA is not the one that its manifest names",
        {CERTIFICATE: own_certificate(), KEY: own_key(), CA: make.ca(OWN)},
        {"ca_sha256": make.ca_sha256()},
        lambda made: make.signed(made, certificate_=own_certificate(), key=STRANGER),
    ),
    "another key file": Copied("its key does not belong to its certificate", {KEY: own_key()}),
}


def forge(of: Settings, folder: Path, bucket: Any, forged: Copied) -> Copy:
    """Lay the forged copy into the bucket."""
    path = packed(folder / "forged", {**CONTENT, **forged.content})
    made = forged.signed(described(path, **forged.claims))
    document = json.loads(made.to_json())
    forged.edited(document)
    copy = Catalog(of).add(made, sealed_beside(path))
    bucket.put_object(Key=copy.manifest_key, Body=json.dumps(document).encode())
    return copy


@pytest.mark.parametrize("forged", COPIED.values(), ids=COPIED.keys())
def test_a_copy_of_somebodys_own_making_is_passed_over(bucket: Any, tmp_path: Path, forged: Copied) -> None:
    of = make.settings()
    good, bad = put(of, tmp_path, "manager-b", 9), forge(of, tmp_path, bucket, forged)
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER, frozenset({make.ca_sha256()})) as found:
        assert found.choice is not None
        assert found.choice.copy == good
    assert [line.split(":")[0] for line in found.rejected] == [bad.name]
    assert forged.why in found.rejected[0]


def test_under_an_own_ca_nothing_but_the_ca_gives_it_away(bucket: Any, tmp_path: Path) -> None:
    """So it is chosen where nobody knows the swarm's, which the plan says. Only its ID consents to that."""
    of = make.settings()
    put(of, tmp_path, "manager-b", 9)
    forged = forge(of, tmp_path, bucket, COPIED["an own CA"])
    known = frozenset({make.ca_sha256()})
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == forged
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER, known, choice=forged.name) as found:
        assert found.choice is None
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER, known, choice=forged.taken) as found:
        assert found.choice is not None
        assert found.choice.copy != forged


def test_a_copy_given_out_for_a_newer_one_is_noticed(bucket: Any, tmp_path: Path) -> None:
    of = make.settings()
    older, newer = put(of, tmp_path, "manager-a", 9), put(of, tmp_path, "manager-a", 1)
    for old, new in ((older.key, newer.key), (older.manifest_key, newer.manifest_key)):
        bucket.Object(new).copy_from(CopySource={"Bucket": bucket.name, "Key": old})
    with pytest.raises(DamagedCopy, match=f"of manager-a, taken at {older.taken.date()}(?s:.*)code: copy-damaged$"):
        Catalog(of).manifest(newer)


def chained(*, may_issue: bool) -> bytes:
    """A certificate of manager-a, and the one it was issued under, which the swarm's CA issued."""
    root, authority = make.authority(make.CLUSTER)
    between = x509.load_pem_x509_certificate(make.certificate("id-manager-b", make.CLUSTER, key=STRANGER))
    if may_issue:
        between = make.issued(between.subject, STRANGER, authority.subject, root, ca=True)
    subject = x509.load_pem_x509_certificate(make.certificate("id-manager-a", make.CLUSTER)).subject
    leaf = make.issued(subject, PRIVATE, between.subject, STRANGER, ca=False)
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, between))


def test_a_nodes_certificate_issues_none(tmp_path: Path) -> None:
    """Every node has one under the swarm's CA, and a key for it. Intermediates there are while the CA is rotated."""
    assert is_managers(chained(may_issue=True), make.ca())
    assert not is_managers(chained(may_issue=False), make.ca())
    assert not is_managers(chained(may_issue=True), make.ca(OWN))


@pytest.mark.parametrize(
    "signature",
    [0, [], {}, {"certificate": 1, "value": ""}, {"certificate": "x", "value": ""}, {"certificate": "", "value": "é"}],
    ids=str,
)
def test_what_is_no_signature_is_refused(signature: Any) -> None:
    document = json.loads(make.manifest().to_json())
    with pytest.raises(DamagedCopy):
        from_json(json.dumps({**document, "signature": signature}).encode(), source="it")


@pytest.mark.parametrize("locked", [False, True])
def test_a_node_signs_with_the_key_in_its_copy_locked_or_not(tmp_path: Path, locked: bool) -> None:
    """As in `recovery.onnode`, by openssl; the headers of a key file are none that it knows."""
    key = unlock(key_file(unlock_key()), unlock_key()) if locked else key_file()
    (tmp_path / "statement").write_bytes(b"it")
    certificate = make.certificate("id-manager-a", make.CLUSTER).decode()
    made = copying.sign(tmp_path / "statement", key)
    assert has_signed(certificate, made, b"it")
    assert not has_signed(certificate, made, b"else")


@pytest.mark.parametrize("other", ["manager-b", "manager-a"], ids=["another manager's", "an older one"])
def test_an_archive_put_in_the_place_of_another_is_noticed(bucket: Any, tmp_path: Path, other: str) -> None:
    of = make.settings()
    copy, source = put(of, tmp_path, "manager-a", 1), put(of, tmp_path, other, 5)
    bucket.Object(copy.key).copy_from(CopySource={"Bucket": bucket.name, "Key": source.key})
    with pytest.raises(DamagedCopy, match="the object"), Catalog(of).verified(copy):
        pass
