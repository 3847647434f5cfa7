"""The copies in S3, on a simulated server: what counts as a copy, and which one is chosen."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest

from recovery import assessment, moves
from recovery.catalog import Catalog, newest_good
from recovery.copy import Copy
from recovery.errors import Refused, SettingError, StoreError
from recovery.escrow import Escrow
from recovery.manifest import Proof, Verdict
from recovery.onnode.archive import CERTIFICATE
from recovery.settings import Settings
from recovery.site import Site
from tests.unit import factories as make
from tests.unit.test_snapshot import CONTENT, archive, certificate, described, sealed_beside

NAMES = ("manager-a", "manager-b", "manager-c")


@pytest.fixture
def of() -> Settings:
    return make.settings()


def put(
    of: Settings,
    folder: Path,
    manager: str,
    minutes: int,
    *,
    cluster: str = make.CLUSTER,
    address: str = "",
    **changes: object,
) -> Copy:
    content = {**CONTENT, CERTIFICATE: certificate(f"id-{manager}", cluster)}
    path = archive(folder / f"{manager}-{minutes}", content)
    address = address or str(of.node(manager).address)
    made = described(
        path,
        manager=manager,
        node_id=f"id-{manager}",
        address=address,
        taken=make.NOW - timedelta(minutes=minutes),
        cluster_id=cluster,
        **changes,
    )
    return Catalog(of).add(made, sealed_beside(path))


def test_an_empty_bucket_holds_no_copy(of: Settings, bucket: Any) -> None:
    assert Catalog(of).copies == ()


def test_copies_are_listed_newest_first_over_all_managers(of: Settings, bucket: Any, tmp_path: Path) -> None:
    old, newest, middle = (put(of, tmp_path, name, minutes) for name, minutes in zip(NAMES, (9, 1, 5), strict=True))
    assert Catalog(of).copies == (newest, middle, old)
    assert newest.key == "requorum/lab/manager-b/swarm-20.10.24-manager-b-20260102T030305000000Z.tar.zst.age"


def test_an_archive_without_a_manifest_is_not_a_copy(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path, "manager-a", 1)
    bucket.Object(copy.manifest_key).delete()
    assert Catalog(of).copies == ()


def test_the_manifest_is_written_last(
    of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StoreError("writing", "the connection broke", remedy="")

    monkeypatch.setattr(Site, "keep", broken)
    with pytest.raises(StoreError):
        put(of, tmp_path, "manager-a", 1)
    assert [entry.key for entry in bucket.objects.all()], "the archive is there"
    assert Catalog(of).copies == ()


def test_other_clusters_and_other_peoples_objects_are_not_ours(of: Settings, bucket: Any, tmp_path: Path) -> None:
    mine = put(of, tmp_path, "manager-a", 1)
    put(of.model_copy(update={"cluster": "lab2"}), tmp_path, "manager-a", 0)
    below = {"cluster": "x", "backup": of.backup.model_copy(update={"prefix": "requorum/lab"})}
    put(of.model_copy(update=below), tmp_path, "manager-a", 0)
    for key in (
        "requorum/lab/notes.txt",
        "requorum/lab/manager-a/photo.manifest.json",
        "requorum/lab/manager-a/photo.tar.zst.age",
    ):
        bucket.put_object(Key=key, Body=b"x")
    assert Catalog(of).copies == (mine,)


def test_the_newest_good_copy_is_chosen_and_the_rest_explained(of: Settings, bucket: Any, tmp_path: Path) -> None:
    good = put(of, tmp_path, "manager-a", 9)
    foreign = put(of, tmp_path, "manager-b", 7, cluster="other")
    torn, no_manifest = put(of, tmp_path, "manager-c", 5), put(of, tmp_path, "manager-a", 3)
    bucket.put_object(Key=torn.key, Body=b"half")
    bucket.put_object(Key=no_manifest.manifest_key, Body=b"{")
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == good
        assert found.archive is not None
        assert found.archive.exists()
    assert [reason.split(":")[0] for reason in found.rejected] == [no_manifest.name, torn.name, foreign.name]
    assert not found.archive.exists()


def test_no_good_copy_is_no_choice(of: Settings, bucket: Any, tmp_path: Path) -> None:
    torn = put(of, tmp_path, "manager-a", 5)
    bucket.put_object(Key=torn.key, Body=b"")
    with newest_good(Catalog(of), Escrow(of), NAMES, None) as found:
        assert found.choice is None
    assert len(found.rejected) == 1


def test_a_copy_under_another_managers_name_is_rejected(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path, "manager-a", 5)
    for suffix in (".tar.zst.age", ".manifest.json"):
        source = copy.key.removesuffix(".tar.zst.age") + suffix
        target = source.replace("/manager-a/", "/manager-b/")
        bucket.Object(target).copy_from(CopySource={"Bucket": "copies", "Key": source})
    with newest_good(Catalog(of), Escrow(of), ["manager-b"], None) as found:
        assert found.choice is None


def test_the_cluster_is_known_by_its_copies(of: Settings, bucket: Any, tmp_path: Path) -> None:
    assert assessment.known_id(of, Catalog(of)) is None
    put(of, tmp_path, "manager-a", 1)
    assert assessment.known_id(of, Catalog(of)) == make.CLUSTER
    put(of, tmp_path, "manager-b", 1, cluster="other")
    with pytest.raises(Refused, match="several swarms"):
        assessment.known_id(of, Catalog(of))
    assert assessment.known_id(of.model_copy(update={"cluster_id": "other"}), Catalog(of)) == "other"


def test_a_missing_bucket_says_what_to_do(of: Settings, bucket: Any) -> None:
    gone = of.model_copy(update={"backup": of.backup.model_copy(update={"bucket": "nowhere"})})
    with pytest.raises(StoreError, match=r"requorum:backup\.bucket"):
        Catalog(gone)


def test_a_copy_of_another_swarm_does_not_say_where_our_managers_are(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, "manager-a", 2)
    put(of, tmp_path, "manager-a", 1, cluster="other", address="10.77.9.9")
    assert not moves.since_copied(of, Catalog(of), make.CLUSTER, None)
    assert [move.text for move in moves.since_copied(of, Catalog(of), "other", None)] == [
        "manager-a from 10.77.9.9 to 10.77.1.11"
    ]
    chosen = make.manifest("manager-b", address="10.77.8.8")
    assert [move.manager for move in moves.since_copied(of, Catalog(of), make.CLUSTER, chosen)] == ["manager-b"]


def test_proven_copies_come_first_and_those_that_failed_last(of: Settings, bucket: Any, tmp_path: Path) -> None:
    proofs = {verdict: Proof(verdict, make.NOW, "as it was") for verdict in Verdict}
    failed = put(of, tmp_path, "manager-a", 1, proof=proofs[Verdict.FAILED])
    unproven = put(of, tmp_path, "manager-b", 2, proof=proofs[Verdict.UNPROVEN])
    newest = put(of, tmp_path, "manager-c", 3, proof=proofs[Verdict.PROVEN])
    older = put(of, tmp_path, "manager-a", 4, proof=proofs[Verdict.PROVEN])
    order = [newest, older, unproven, failed]
    assert list(Catalog(of).by_trust()) == order
    for chosen in order:
        with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER) as found:
            assert found.choice is not None
            assert found.choice.copy == chosen
        if chosen == newest:
            assert found.rejected == (
                f"{failed.name}: newer, and its proof is: failed (as it was)",
                f"{unproven.name}: newer, and its proof is: unproven (as it was)",
            )
        bucket.Object(chosen.manifest_key).delete()


def test_for_an_identity_the_newest_serves_proven_or_not(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, "manager-a", 2, proof=Proof(Verdict.PROVEN, make.NOW))
    safety = put(of, tmp_path, "manager-a", 1, kind="safety")
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER, whole=False) as found:
        assert found.choice is not None
        assert found.choice.copy == safety


def test_a_copy_that_no_identity_here_opens_is_passed_over(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, "manager-a", 1)
    file = tmp_path / "stranger"
    file.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    strange = of.model_copy(update={"backup": of.backup.model_copy(update={"identity_file": file})})
    with newest_good(Catalog(strange), Escrow(of), NAMES, None) as found:
        assert found.choice is None
    assert "identities of requorum:backup.identityFile do not open it" in found.rejected[0]
    blind = of.model_copy(update={"backup": of.backup.model_copy(update={"identity_file": None})})
    with (
        pytest.raises(SettingError, match=r"requorum:backup\.identityFile: is not set"),
        newest_good(Catalog(blind), Escrow(of), NAMES, None),
    ):
        pass


def test_a_copy_for_two_is_opened_by_either_identity(of: Settings, bucket: Any, tmp_path: Path) -> None:
    lost, kept, stranger = (pyrage.x25519.Identity.generate() for _ in range(3))
    copy = put(of, tmp_path, "manager-a", 1, to=[str(one.to_public()) for one in (lost, kept)])
    file = tmp_path / "identity"
    mine = of.model_copy(update={"backup": of.backup.model_copy(update={"identity_file": file})})
    for identity, chosen in ((lost, copy), (kept, copy), (stranger, None)):
        file.write_text(f"{identity}\n")
        with newest_good(Catalog(mine), Escrow(of), NAMES, make.CLUSTER) as found:
            assert (found.choice.copy if found.choice else None) == chosen


def test_the_operator_may_name_the_copy_or_a_time(of: Settings, bucket: Any, tmp_path: Path) -> None:
    good = {"proof": Proof(Verdict.PROVEN, make.NOW)}
    old, middle, new = (put(of, tmp_path, name, ago, **good) for name, ago in zip(NAMES, (9, 5, 1), strict=True))
    choices: list[tuple[str | datetime | None, Copy | None]] = [
        (None, new),
        (old.name, old),
        (middle.taken, middle),
        (middle.taken - timedelta(seconds=1), old),
        (old.taken - timedelta(days=1), None),
        ("swarm-20.10-manager-a-20250101T000000000000Z", None),
    ]
    for choice, wanted in choices:
        with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER, choice=choice) as found:
            assert (found.choice.copy if found.choice else None) == wanted, choice
