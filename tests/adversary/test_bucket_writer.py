"""Somebody who has an agent's S3 key: may write objects of managers and sealed unlock keys, and read what is public.

The CA's and the managers' certificates are public (each manifest and port 2377 show them), and so are the age recipients.
"""

import base64
import hashlib
import io
import json
import subprocess
import tarfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest
from backports import zstd
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from recovery.agent.order import Mark
from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.choice import Search, newest_good
from recovery.copies.contents import read
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Manifest, Proof, Verdict
from recovery.copies.swarm_id import known_id
from recovery.errors import DamagedCopy, Refused, SettingError
from recovery.onnode.archive import CA, CERTIFICATE, KEY
from recovery.onnode.copying import statement
from recovery.operations.prune import MANAGERS
from recovery.operations.report_names import among
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.s3 import lease, sealing, small
from recovery.settings import Retention, Settings
from recovery.steps import swarm_directory
from recovery.swarm import records
from recovery.swarm.records import MOST
from tests.unit import factories as make
from tests.unit.copies.stored import put
from tests.unit.copies.test_hostile_archives import member
from tests.unit.copies.test_snapshot import CONTENT, archive, described, sealed_beside
from tests.unit.swarm.test_key_file import key_file, unlock_key

A = "manager-a"
MINE = ec.generate_private_key(ec.SECP256R1())
"""The forger's own key."""


@pytest.fixture
def of(tmp_path: Path) -> Settings:
    """Settings with an escrow."""
    file = tmp_path / "identity"
    file.write_text(f"{make.IDENTITY}\n")
    return make.settings(escrow={"recipients": [str(make.IDENTITY.to_public())], "identityFile": str(file)})


def chosen(of: Settings) -> Search:
    """What a manager's rejoin chooses."""
    with newest_good(Catalog(of), Escrow(of), [A], make.CLUSTER, whole=False) as found:
        return found


def locked_copy(of: Settings, folder: Path, key: bytes, *, signed: bool) -> None:
    """Lay down a copy of an autolocked manager with that key file. What the forger signs is signed by the manager's key."""
    path = archive(folder / "locked", {**CONTENT, KEY: key})
    made = described(path, autolock=True, kind="safety")
    Catalog(of).add(made if signed else replace(made, signature=None), sealed_beside(path))


def with_another_key(unlock: bytes) -> bytes:
    """A locked key file that holds the forger's own node key."""
    pem = key_file(unlock_key(unlock))
    secret = serialization.BestAvailableEncryption(unlock_key(unlock).secret)
    body = MINE.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret).decode()
    head = pem.decode().split("\n\n")[0].splitlines()
    first, rest = body.split("\n", 1)
    return "\n".join([first, *head[1:], "", rest]).encode()


def test_a_rejoin_takes_no_copy_that_no_manager_signed(of: Settings, bucket: Any, tmp_path: Path) -> None:
    genuine = put(of, tmp_path, A, 9)
    Escrow(of).keep(unlock_key())
    locked_copy(of, tmp_path, key_file(unlock_key()), signed=False)
    found = chosen(of)
    assert found.choice
    assert found.choice.copy == genuine
    assert "no manager signed it" in found.rejected[0].why


def test_an_opened_key_that_is_not_the_certificates_is_refused(of: Settings, bucket: Any, tmp_path: Path) -> None:
    """Under a stolen signature: the forger supplies the unlock key as well, because age seals to a public recipient."""
    genuine = put(of, tmp_path, A, 9)
    Escrow(of).keep(unlock_key(b"f" * 32))
    locked_copy(of, tmp_path, with_another_key(b"f" * 32), signed=True)
    found = chosen(of)
    assert found.choice
    assert found.choice.copy == genuine
    assert "its key does not belong to its certificate" in found.rejected[0].why


def test_a_locked_copy_with_its_own_key_is_taken(of: Settings, bucket: Any, tmp_path: Path) -> None:
    Escrow(of).keep(unlock_key())
    locked_copy(of, tmp_path, key_file(unlock_key()), signed=True)
    found = chosen(of)
    assert found.choice
    assert found.key == unlock_key()


def test_an_unlock_key_that_nobody_opens_stops_no_rejoin(of: Settings, bucket: Any, tmp_path: Path) -> None:
    junk = sealing.seal(b"junk", [str(pyrage.x25519.Identity.generate().to_public())])
    bucket.put_object(Key=f"{of.keys.unlock_keys}0-0.age", Body=junk)
    locked_copy(of, tmp_path, key_file(unlock_key(b"x" * 32)), signed=True)
    with pytest.raises(SettingError, match=r"code: wrong-identity$"):
        chosen(of)
    genuine = put(of, tmp_path, A, 9)
    found = chosen(of)
    assert found.choice
    assert found.choice.copy == genuine


def two_readings(shown: str, hidden: str, content: bytes) -> bytes:
    """A member that `tarfile` reads as ``shown``, and GNU tar as ``hidden``: only the former takes the prefix."""
    made = bytearray(member(hidden, content))
    prefix = shown.removesuffix("/" + hidden).encode()
    made[345 : 345 + len(prefix)] = prefix
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made[: tarfile.BLOCKSIZE])
    return bytes(made)


def test_no_member_has_two_names(tmp_path: Path) -> None:
    mine = make.ca("forged")
    spoilt = two_readings(f"swarm/a/{CA}", CA, mine)
    plain = b"".join(member(name, data) for name, data in CONTENT.items()) + spoilt + bytes(2 * tarfile.BLOCKSIZE)
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        assert f"swarm/a/{CA}" in tar.getnames(), "the archive is not the attack"
    path = tmp_path / "copy"
    path.write_bytes(zstd.compress(plain))
    with pytest.raises(DamagedCopy, match="has a prefix"):
        read(path, source="it")


@pytest.mark.parametrize("spoil", ["other content", "a link", "one more"])
def test_what_was_unpacked_is_compared_by_digest_before_it_is_put_in_place(tmp_path: Path, spoil: str) -> None:
    new = tmp_path / "swarm.requorum"
    for path in (CERTIFICATE, CA, KEY):
        (new / path).parent.mkdir(parents=True, exist_ok=True)
        (new / path).write_bytes(CONTENT[path])
    listing = b"".join(
        f"{hashlib.sha256(CONTENT[path]).hexdigest()}  {path}\n".encode() for path in sorted((CERTIFICATE, CA, KEY))
    )
    spoilt = new / CA
    match spoil:
        case "other content":
            spoilt.write_bytes(bytes(reversed(CONTENT[CA])))
        case "a link":
            spoilt.rename(tmp_path / "elsewhere")
            (new / "swarm" / "link").symlink_to(tmp_path / "elsewhere")
        case _:
            (new / "swarm" / "more").write_bytes(b"")
    argv = ["sh", "-c", swarm_directory.SWAP, "swap", str(tmp_path), swarm_directory.CERTIFICATES, "", ""]
    if spoil != "other content":
        argv[5] = swarm_directory.WHOLE
    assert subprocess.run(argv, input=listing, capture_output=True).returncode
    assert not (tmp_path / "swarm").exists()


def test_the_reviewed_id_is_of_one_copy_s_content_and_ca() -> None:
    reviewed = Plan(Kind.ALL_LOST, make.CLUSTER, copy="swarm-1", content="0" * 64, ca="0" * 64)
    others = [replace(reviewed, **{name: "1" * 64}) for name in ("content", "ca", "proven")]
    assert len({plan.id for plan in (reviewed, *others)}) == 4
    assert len(reviewed.id) == 1 + 16, "64 bits: none of 25 million tries a second finds another in a year"


def test_no_report_of_a_time_to_come_hides_a_run() -> None:
    genuine = "20260102T030405000000Z"
    assert among([f"{genuine}.json", "99991231T235959000000Z.json", "20269999T999999999999Z.json"]) == [genuine]


def own_swarm(manager: str = A, cluster: str = make.CLUSTER) -> dict[str, bytes]:
    """Certificates of the forger's own CA, for the swarm's ID and a manager's node ID."""
    return {
        CA: make.ca("forged"),
        CERTIFICATE: make.certificate(f"id-{manager}", cluster, by="forged", key=MINE),
        KEY: MINE.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    }


def lay_forged(of: Settings, folder: Path, number: int, **claims: Any) -> Copy:
    """Lay down a "proven" copy under the forger's own CA, taken ``number`` hours ago."""
    content = {**CONTENT, **own_swarm()}
    path = archive(folder / f"forged-{number}", content)
    proof = Proof(Verdict.PROVEN, make.NOW)
    made = described(path, taken=make.NOW - timedelta(hours=number), proof=proof, **claims)
    made = make.signed(made, certificate_=content[CERTIFICATE], key=MINE)
    return Catalog(of).add(made, sealed_beside(path))


def test_forged_copies_make_no_rule_delete_a_genuine_one(of: Settings, bucket: Any, tmp_path: Path) -> None:
    ruled = of.model_copy(
        update={"backup": of.backup.model_copy(update={"retention": Retention(last=2, daily=3, graceHours=1)})}
    )
    proof = Proof(Verdict.PROVEN, make.NOW)
    genuine = [put(of, tmp_path, A, 60 * 24 * day, proof=proof) for day in (1, 2, 3)]
    before = {decision.copy for decision in MANAGERS.look(Cluster(ruled), make.NOW) if decision.keep}
    assert before == set(genuine)
    for number in range(2, 40):
        lay_forged(of, tmp_path, number)
    kept = {decision.copy for decision in MANAGERS.look(Cluster(ruled), make.NOW) if decision.keep}
    assert kept >= before


@pytest.mark.parametrize("older", [False, True], ids=["in today's format", "in the format without the CA"])
def test_a_claim_to_be_under_the_swarms_ca_is_checked(of: Settings, bucket: Any, tmp_path: Path, older: bool) -> None:
    genuine = put(of, tmp_path, A, 9)
    forged = lay_forged(of, tmp_path, 1, ca=make.ca().decode(), ca_sha256=make.ca_sha256())
    if older:
        document = json.loads(bucket.Object(forged.manifest_key).get()["Body"].read())
        del document["ca"]
        document["format"] = 3
        value = MINE.sign(statement(document), ec.ECDSA(SHA256()))
        document["signature"]["value"] = base64.b64encode(value).decode()
        bucket.put_object(Key=forged.manifest_key, Body=json.dumps(document).encode())
        assert Catalog(of).manifest(forged).verdict is Verdict.PROVEN, "alone it cannot be told from a genuine one"
    read = dict(Catalog(of).manifests())
    assert isinstance(read[forged], DamagedCopy)
    assert read[forged].code == "copy-forged"
    assert isinstance(read[genuine], Manifest)


def test_an_address_that_is_none_spoils_its_own_copy_only(of: Settings, bucket: Any, tmp_path: Path) -> None:
    genuine = put(of, tmp_path, A, 9)
    spoilt = put(of, tmp_path, A, 1, address="x")
    read = dict(Catalog(of).manifests())
    assert isinstance(read[spoilt], DamagedCopy)
    assert isinstance(read[genuine], Manifest)


class Endless:
    """An object without an end, as its reader sees it."""

    taken = 0
    closed = False

    def read(self, amt: int) -> bytes:
        self.taken += amt
        return bytes(amt)

    def close(self) -> None:
        self.closed = True


def test_no_object_fills_the_memory_of_an_operator_or_a_manager() -> None:
    body = Endless()
    assert len(small.read(body)) == MOST + 1
    assert body.closed
    assert body.taken <= MOST + 2 * small.BLOCK
    with pytest.raises(records.Unfit, match="more than 4 MiB"):
        records.parsed(bytes(MOST + 1))


def test_what_an_agent_reads_is_typed(of: Settings) -> None:
    for text in (b"[]", b'{"fingerprint": 1, "copy": "x"}', b'{"fingerprint": "x"}', b"[" * 100_000, b"\xff"):
        with pytest.raises(records.Unfit):
            records.read(Mark, text)
        assert lease._whose(text) == "another process"
    long = json.dumps({"holder": "x", "by": "y" * 10_000, "doing": "z" * 10_000, "turn": 1}).encode()
    assert len(lease._whose(long)) < 500


def test_copies_of_another_swarm_stop_nothing_where_the_ca_is_known(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, A, 60)
    put(of, tmp_path, "manager-b", 1, cluster="forged")
    with pytest.raises(Refused, match=r"code: several-swarms$"):
        known_id(of, Catalog(of))
    pinned = of.model_copy(update={"ca_sha256": (make.ca_sha256(),)})
    assert known_id(pinned, Catalog(pinned)) == make.CLUSTER
    told = Catalog(of)
    told.trust({make.ca_sha256()})
    assert known_id(of, told) == make.CLUSTER


def test_junk_hides_no_copy_that_is_older(of: Settings, bucket: Any, tmp_path: Path) -> None:
    genuine = put(of, tmp_path, A, 60)
    name = f"{of.keys.copies_of(A)}swarm-28-{A}-{make.NOW:%Y%m%dT%H%M%S}000000Z"
    bucket.put_object(Key=f"{name}.tar.zst.age", Body=b"")
    bucket.put_object(Key=f"{name}.manifest.json", Body=b"[]")
    assert list(Catalog(of).newest_manifests()) == [genuine]
