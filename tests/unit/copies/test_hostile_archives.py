"""Archives that somebody or something has spoilt: none of them is read, unpacked or taken for another, wherever that is tried.

Flipped bytes, cut-off ends and missing files are in test_snapshot; what becomes of a bad copy in test_catalog.
"""

import base64
import io
import json
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyrage
import pytest
from backports import zstd
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from syrupy.assertion import SnapshotAssertion

from recovery.copies import contents
from recovery.copies.catalog import Catalog
from recovery.copies.choice import newest_good
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Manifest, Proof, Verdict, drilled, from_json
from recovery.errors import DamagedCopy
from recovery.onnode import archive, copying, sandbox
from recovery.onnode.archive import CA, CERTIFICATE, KEY, Unfit
from recovery.s3 import sealing
from recovery.s3.sealing import Identities, Unreadable
from recovery.settings import Settings
from recovery.swarm import wal
from recovery.swarm.certificate import has_signed, is_managers
from recovery.swarm.key_file import unlock
from tests.unit import factories as make
from tests.unit.copies.test_catalog import NAMES, put
from tests.unit.copies.test_snapshot import CONTENT, WAL, described, sealed_beside
from tests.unit.copies.test_snapshot import archive as packed
from tests.unit.swarm.test_key_file import PRIVATE, key_file, unlock_key
from tests.unit.swarm.test_wal import entry, frame

MIB = 1 << 20
GIB = 1 << 30
END = bytes(2 * tarfile.BLOCKSIZE)


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, **attributes: object) -> bytes:
    """What tar writes before a member's content, whatever is to be said there."""
    made = tarfile.TarInfo(name)
    made.size, made.type = size, kind
    for key, value in attributes.items():
        setattr(made, key, value)
    return made.tobuf(tarfile.GNU_FORMAT)


def member(name: str, content: bytes) -> bytes:
    return header(name, len(content)) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def pax(**said: str) -> bytes:
    """A member with a header of its own for what is said of it."""
    made = tarfile.TarInfo("swarm/y")
    made.pax_headers = said
    return made.tobuf(tarfile.PAX_FORMAT)


def sparse(size: int, *, extended: bool = False) -> bytes:
    """The header of a file of ``size`` bytes, all of them holes (GNU tar, tar.h: struct oldgnu_header)."""
    made = bytearray(header("swarm/holes", kind=tarfile.GNUTYPE_SPARSE))
    made[482] = extended
    made[483:495] = (b"\x80" if size >= 0 else b"\xff") + (size % (1 << 88)).to_bytes(11, "big")
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def repeated(block: bytes, total: int) -> bytes:
    """Zstd frames that unpack to ``total`` bytes and take next to nothing."""
    return zstd.compress(block * (MIB // len(block))) * (total // MIB)


EXTENSION = bytes(504) + b"\1" + bytes(7)
"""A further header of a sparse file that says that one more follows."""
ENDLESS = frame(wal.ENTRY, b"\x10" + b"\xff" * MIB + b"\x01")
"""A record of a raft log with a number of a million digits."""

GOOD = b"".join(member(name, content) for name, content in CONTENT.items())
"""A good manager's files without the mark of the end."""

NO_PLACE = {
    "beside the directory": header("etc/passwd"),
    "above it": header("../x"),
    "climbing out of it": header("swarm/../../etc/passwd"),
    "absolute": header("/etc/passwd"),
    "absolute, with its name": header("/swarm/x"),
    "a roundabout name": header("swarm/./state.json"),
    "a double slash": header("swarm//state.json"),
    "an escape sequence": header("swarm/\x1b[2J"),
    "two lines": header("swarm/a\nb"),
    "no ASCII": header("swarm/\udcff"),
    "symbolic link": header("swarm/x", kind=tarfile.SYMTYPE, linkname="/etc"),
    "hard link": header("swarm/x", kind=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "hard link within": header("swarm/x", kind=tarfile.LNKTYPE, linkname=KEY),
    "block device": header("swarm/x", kind=tarfile.BLKTYPE, devmajor=8),
    "character device": header("swarm/x", kind=tarfile.CHRTYPE, devmajor=1, devminor=1),
    "fifo": header("swarm/x", kind=tarfile.FIFOTYPE),
    "contiguous file": header("swarm/x", kind=tarfile.CONTTYPE),
    "unknown kind": header("swarm/x", kind=b"Z"),
    "a long name that climbs": tarfile.TarInfo(f"swarm/{'x/' * 60}../../etc").tobuf(tarfile.GNU_FORMAT),
    "pax header": pax(path="swarm/x"),
    "pax header for all": tarfile.TarInfo.create_pax_global_header({"path": "swarm/x"}) + header("swarm/x"),
    "folder with content": header("swarm/x", 512, tarfile.DIRTYPE),
}
TORN = {
    "in the frame": zstd.compress(GOOD + END)[:-3],
    "at a frame's end, in a file": zstd.compress(GOOD[: len(GOOD) // 2]),
    "at a frame's end, between two files": zstd.compress(GOOD),
    "in a header": zstd.compress(GOOD + header("swarm/x")[:100]),
    "a header that is none": zstd.compress(GOOD + b"x" * 512 + header("swarm/x") + END),
    "in the header of a sparse file": zstd.compress(GOOD + sparse(1, extended=True)),
    "pax headers within each other": zstd.compress(GOOD + pax(path="swarm/x")[: -tarfile.BLOCKSIZE] * 1500),
    "a pax header of nonsense": zstd.compress(GOOD + pax(**{"GNU.sparse.map": "x"}) + END),
    "a window of two gigabytes": bytes.fromhex("28b52ffd 00a8 010000"),
}
BOMBS = {
    "zeros only": (repeated(bytes(512), 4 * GIB), "no file's content"),
    "zeros after its end": (zstd.compress(GOOD + END) + repeated(bytes(512), 4 * GIB), "no file's content"),
    "a long name of gigabytes": (
        zstd.compress(header("swarm/x", 4 * GIB, tarfile.GNUTYPE_LONGNAME)) + repeated(b"x", 4 * GIB),
        "no file's content",
    ),
    "a pax header of gigabytes": (
        zstd.compress(header("swarm/x", 4 * GIB, tarfile.XHDTYPE)) + repeated(b"x", 4 * GIB),
        "no file's content",
    ),
    "a file beyond all bounds": (
        zstd.compress(header("swarm/x", 9 * GIB)) + repeated(bytes(512), 9 * GIB),
        "more than 8589934592 bytes",
    ),
    "many files beyond all bounds": (
        zstd.compress(header("swarm/x", 1) + bytes(512) + header("swarm/y", archive.LARGEST)),
        "more than 8589934592 bytes",
    ),
    "a certificate of a gigabyte": (
        zstd.compress(header(CERTIFICATE, GIB)) + repeated(b"x", GIB),
        "swarm-node.crt is larger than it can be",
    ),
    "a huge hole": (zstd.compress(sparse(1 << 60) + END), "more than 8589934592 bytes"),
    "less than nothing": (zstd.compress(sparse(-GIB) + END), "more than 8589934592 bytes"),
    "a header without end": (
        zstd.compress(sparse(1, extended=True)) + repeated(EXTENSION, GIB),
        "no file's content",
    ),
    "thousands of files": (
        zstd.compress(b"".join(header(f"swarm/{number}") for number in range(10_000)) + END),
        "no file's content",
    ),
    "a number without end": (
        zstd.compress(GOOD + member(WAL.replace("0.wal", "1.wal"), ENDLESS) + END),
        "its raft log: a number has more than 64 bits",
    ),
}
OTHER = {
    "a file twice": (zstd.compress(GOOD + member("swarm/state.json", b"{}") + END), "is in it twice"),
    "a folder in a file's place": (
        zstd.compress(GOOD + header("swarm/state.json", kind=tarfile.DIRTYPE) + END),
        "is in it twice",
    ),
    "more after its end": (zstd.compress(GOOD + END + header("swarm/x") + END), "something follows its end"),
}
CASES = {
    **{name: (zstd.compress(GOOD + bad + END), "does not belong") for name, bad in NO_PLACE.items()},
    **{name: (content, "torn|truncated or altered") for name, content in TORN.items()},
    **BOMBS,
    **OTHER,
}


def at_the_operators(path: Path, _: Path) -> None:
    contents.read(path, source="it")


def on_the_node(path: Path, _: Path) -> None:
    copying.read(path)


def in_the_sandbox(path: Path, data: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "DATA", data)
        sandbox._unpack(path, b"")


READERS = [at_the_operators, on_the_node, in_the_sandbox]
each_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where the sandbox unpacks, with a folder around it that a climbing name would get into."""
    made = tmp_path / "around" / "data"
    made.mkdir(parents=True)
    return made


@each_reader
def test_what_tar_writes_is_read(tmp_path: Path, data: Path, reader: Callable[[Path, Path], None]) -> None:
    """Else every refusal below would prove nothing."""
    for name, content in CONTENT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        with (tmp_path / name).open("wb") as file:
            file.write(content)
            file.truncate(max(len(content), 8 * MIB) if name == WAL else len(content))
    copying._pack(str(tmp_path), tmp_path)
    reader(copying._compressed(tmp_path), data)
    if reader is in_the_sandbox:
        assert (data / WAL).read_bytes() == (tmp_path / WAL).read_bytes()
        assert {str(file.relative_to(data)) for file in data.rglob("*") if file.is_file()} == CONTENT.keys()


@each_reader
@pytest.mark.parametrize(("content", "why"), CASES.values(), ids=CASES.keys())
def test_it_is_refused_and_nothing_of_it_is_written(
    tmp_path: Path, data: Path, content: bytes, why: str, reader: Callable[[Path, Path], None]
) -> None:
    path = tmp_path / "copy"
    path.write_bytes(content)
    with pytest.raises((DamagedCopy, Unfit), match=why):
        reader(path, data)
    assert list((tmp_path / "around").rglob("*")) == [data]


@pytest.mark.parametrize(("content", "why"), BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_before_it_takes_memory(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "copy"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DamagedCopy, match=why):
            contents.read(path, source="it")
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()


@each_reader
def test_a_raft_log_that_no_memory_holds_is_refused(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, reader: Callable[[Path, Path], None]
) -> None:
    monkeypatch.setattr(archive, "LOG", MIB)
    segments = {WAL.replace("0.wal", f"{number}.wal"): entry(2, 9) + b"x" * (MIB // 2) for number in range(3)}
    packed(tmp_path / "copy", {**CONTENT, WAL: CONTENT[WAL][:4096], **segments})
    with pytest.raises((DamagedCopy, Unfit), match="larger than it can be"):
        reader(tmp_path / "copy", data)


@pytest.mark.parametrize("received", [b"", b"half", b"whole, and more"])
def test_what_arrives_changed_on_the_node_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, received: bytes
) -> None:
    monkeypatch.setattr(copying, "RECEIVED", tmp_path)
    monkeypatch.setattr(
        copying.subprocess, "run", lambda *_, **__: None
    )  # systemd, which is told to remove it in the end
    (tmp_path / "sent").write_bytes(b"whole")
    digest = copying.measured(tmp_path / "sent")["sha256"]
    before = set(tmp_path.iterdir())
    with pytest.raises(OSError, match="not all of it arrived"):
        copying.receive(io.BytesIO(received), digest)
    assert set(tmp_path.iterdir()) == before
    assert Path(copying.receive(io.BytesIO(b"whole"), digest)["folder"]).parent == tmp_path


# Archives that are sound in themselves, under a manifest whose digests were made to match


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


# Copies of somebody's own making: age seals to recipients, so whoever may write to the bucket may seal one


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
    """So it is chosen where nobody knows the swarm's, which the plan says; and where the operator names it: a CA may be rotated."""
    of = make.settings()
    put(of, tmp_path, "manager-b", 9)
    forged = forge(of, tmp_path, bucket, COPIED["an own CA"])
    known = frozenset({make.ca_sha256()})
    for cas, choice in ((frozenset(), None), (known, forged.name)):
        with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER, cas, choice=choice) as found:
            assert found.choice is not None
            assert found.choice.copy == forged
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


# What is sealed


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


# What is said of it


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"proof": ' * 100_000], ids=["lists", "objects"])
def test_a_manifest_nested_without_end_is_none(text: bytes) -> None:
    with pytest.raises(DamagedCopy, match="not a manifest"):
        from_json(text, source="it")
    assert drilled([text]) is None
