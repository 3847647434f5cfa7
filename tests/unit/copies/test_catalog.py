"""The copies in S3, on a simulated server: what counts as a copy, and which one is chosen."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pyrage
import pytest
from syrupy.assertion import SnapshotAssertion

from recovery.copies.catalog import BATCH, Catalog, known_id
from recovery.copies.choice import newest_good
from recovery.copies.copy import MANIFEST, Copy
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Proof, Verdict
from recovery.errors import DamagedCopy, Refused, SettingError, StoreError
from recovery.onnode.archive import CA, CERTIFICATE
from recovery.planning import address_changes
from recovery.s3.site import Site
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.copies.test_snapshot import CONTENT, archive, described, sealed_beside

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
    content = {**CONTENT, CERTIFICATE: make.certificate(f"id-{manager}", cluster), CA: make.ca(cluster)}
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


@pytest.mark.parametrize("garbled", [{"recipients": [{}]}, {"cluster_id": {}}, {"size": "x"}], ids=str)
def test_one_garbled_object_stops_nothing(of: Settings, bucket: Any, tmp_path: Path, garbled: dict[str, Any]) -> None:
    good, bad = put(of, tmp_path, "manager-a", 9), put(of, tmp_path, "manager-b", 1)
    document = json.loads(bucket.Object(bad.manifest_key).get()["Body"].read())
    unsigned = {"kind": "safety", "autolock": True, "signature": None}
    bucket.put_object(Key=bad.manifest_key, Body=json.dumps({**document, **unsigned, **garbled}).encode())
    catalog = Catalog(of)
    assert [copy for copy, read in catalog.manifests() if isinstance(read, DamagedCopy)] == [bad]
    assert not catalog.notes
    assert known_id(of, catalog) == make.CLUSTER
    with newest_good(catalog, Escrow(of), NAMES, make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == good
    assert [line.split(":")[0] for line in found.rejected] == [bad.name]


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
    assert known_id(of, Catalog(of)) is None
    put(of, tmp_path, "manager-a", 1)
    assert known_id(of, Catalog(of)) == make.CLUSTER
    put(of, tmp_path, "manager-b", 1, cluster="other")
    with pytest.raises(Refused, match=r"code: several-swarms$"):
        known_id(of, Catalog(of))
    assert known_id(of.model_copy(update={"cluster_id": "other"}), Catalog(of)) == "other"


def test_a_missing_bucket_says_what_to_do(of: Settings, bucket: Any) -> None:
    gone = of.model_copy(update={"backup": of.backup.model_copy(update={"bucket": "nowhere"})})
    with pytest.raises(StoreError, match=r"requorum:backup\.bucket"):
        Catalog(gone)


def test_a_copy_of_another_swarm_does_not_say_where_our_managers_are(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, "manager-a", 2)
    put(of, tmp_path, "manager-a", 1, cluster="other", address="10.77.9.9")
    assert not address_changes.since_copied(of.managers, Catalog(of).newest_manifests(), make.CLUSTER, None)
    assert [
        move.text for move in address_changes.since_copied(of.managers, Catalog(of).newest_manifests(), "other", None)
    ] == ["manager-a from 10.77.9.9 to 10.77.1.11"]
    chosen = make.manifest("manager-b", address="10.77.8.8")
    assert [
        move.manager
        for move in address_changes.since_copied(of.managers, Catalog(of).newest_manifests(), make.CLUSTER, chosen)
    ] == ["manager-b"]


def test_proven_copies_come_first_and_those_that_failed_last(
    of: Settings, bucket: Any, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    proofs = {verdict: Proof(verdict, make.NOW, "as it was") for verdict in Verdict}
    failed = put(of, tmp_path, "manager-a", 1, proof=proofs[Verdict.FAILED])
    unproven = put(of, tmp_path, "manager-b", 2, proof=proofs[Verdict.UNPROVEN])
    newest = put(of, tmp_path, "manager-c", 3, proof=proofs[Verdict.PROVEN])
    older = put(of, tmp_path, "manager-a", 4, proof=proofs[Verdict.PROVEN])
    order = [newest, older, unproven, failed]
    assert list(Catalog(of).by_trust(Catalog(of).copies)) == order
    for chosen in order:
        with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER) as found:
            assert found.choice is not None
            assert found.choice.copy == chosen
        if chosen == newest:
            assert found.rejected == snapshot
        bucket.Object(chosen.manifest_key).delete()


def test_for_an_identity_the_newest_serves_proven_or_not(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, "manager-a", 2, proof=Proof(Verdict.PROVEN, make.NOW))
    safety = put(of, tmp_path, "manager-a", 1, kind="safety")
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER, whole=False) as found:
        assert found.choice is not None
        assert found.choice.copy == safety


def test_a_safety_copy_that_is_named_is_passed_over_with_a_reason(
    of: Settings, bucket: Any, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    safety = put(of, tmp_path, "manager-a", 1, kind="safety")
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER, choice=safety.name) as found:
        assert found.choice is None
    assert found.rejected == snapshot
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER) as found:
        assert (found.choice, found.rejected) == (None, ()), "nobody asked for it"


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


class Counting:
    """Counts the manifests that are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[str] = []
        real = Site.look

        def look(site: Site, key: str) -> tuple[bytes, str] | None:
            if key.endswith(MANIFEST):
                self.read.append(key)
            return real(site, key)

        monkeypatch.setattr(Site, "look", look)


HISTORY = 3 * BATCH


def test_a_recovery_reads_no_more_of_a_long_history_than_it_needs(
    of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = ({"proof": Proof(verdict, make.NOW)} for verdict in (Verdict.PROVEN, Verdict.FAILED))
    for minutes in range(10, 10 + HISTORY):
        put(of, tmp_path, "manager-a", minutes, **good)
    counting = Counting(monkeypatch)
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER) as found:
        assert found.choice is not None
    assert len(counting.read) <= BATCH
    chosen = found.choice.copy
    newer = [put(of, tmp_path, "manager-b", minutes, **bad) for minutes in range(2)]
    counting.read.clear()
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == chosen
    assert [line.split(":")[0] for line in found.rejected] == [copy.name for copy in newer]
    assert len(counting.read) <= BATCH
    counting.read.clear()
    assert len(Catalog(of).since_proven()) == 1 + len(newer)
    assert len(counting.read) <= BATCH + len(newer)
    counting.read.clear()
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER, choice=chosen.name):
        pass
    assert counting.read == [chosen.manifest_key]


def test_where_nothing_newer_is_proven_an_old_proven_copy_is_found(of: Settings, bucket: Any, tmp_path: Path) -> None:
    proven = put(of, tmp_path, "manager-c", 99, proof=Proof(Verdict.PROVEN, make.NOW))
    for minutes in range(1, BATCH + 3):
        put(of, tmp_path, "manager-a", minutes)
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == proven
    assert len(found.rejected) == BATCH + 2


@pytest.mark.usefixtures("s3_time")
def test_a_copy_of_a_clock_that_was_ahead_is_not_the_newest_for_ever(
    of: Settings, bucket: Any, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    good, bad = ({"proof": Proof(verdict, make.NOW)} for verdict in (Verdict.PROVEN, Verdict.FAILED))
    early = put(of, tmp_path, "manager-a", -6, **good)
    right = put(of, tmp_path, "manager-b", 9, **good)
    slightly = put(of, tmp_path, "manager-c", -5, **bad)
    put(of, tmp_path, "manager-c", -6, **bad)
    catalog = Catalog(of)
    assert catalog.copies[:2] == (slightly, right)
    assert list(catalog.by_trust(catalog.copies))[:2] == [right, early]
    assert [copy.ahead for copy in catalog.copies] == [False, False, True, True]
    assert {copy.dated for copy in catalog.copies if copy.ahead} == {make.NOW}
    with newest_good(catalog, Escrow(of), NAMES, make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == right
    told = {line.split(":")[0]: line for line in found.rejected}
    assert told[early.name] == snapshot
    assert [note for note in catalog.notes if early.clock in note]
    with newest_good(catalog, Escrow(of), ["manager-a"], make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == early, "it is better than none"


@pytest.mark.usefixtures("s3_time")
def test_a_clock_that_is_right_again_is_not_told_of_any_more(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, "manager-a", -60)
    assert len(Catalog(of).notes) == 1
    put(of, tmp_path, "manager-a", -1)
    assert not Catalog(of).notes


def test_a_copy_that_nobody_here_could_open_is_told_before_it_is_needed(
    of: Settings, bucket: Any, tmp_path: Path
) -> None:
    mine, other = str(make.IDENTITY.to_public()), str(pyrage.x25519.Identity.generate().to_public())
    put(of, tmp_path, "manager-a", 1, recipients=(other, mine))
    strange = put(of, tmp_path, "manager-b", 1, recipients=(other,))
    (note,) = Catalog(of).notes
    assert f"opens {strange.name}. It is sealed to {other}." in note
    put(of, tmp_path, "manager-b", 0, recipients=(mine,))
    assert not Catalog(of).notes, "the newest of each is what a recovery would take"
    for file in (None, tmp_path / "elsewhere"):
        blind = of.model_copy(update={"backup": of.backup.model_copy(update={"identity_file": file})})
        assert not Catalog(blind).notes
        assert Catalog(blind).opens(Catalog(of).manifest(strange)) is None


@pytest.mark.usefixtures("s3_time")
def test_a_manager_that_is_in_the_settings_no_more_is_listed_and_no_concern(
    of: Settings, bucket: Any, tmp_path: Path
) -> None:
    mine, other = str(make.IDENTITY.to_public()), str(pyrage.x25519.Identity.generate().to_public())
    put(of, tmp_path, "manager-b", -60, recipients=(other,))
    stays = put(of, tmp_path, "manager-a", 1, recipients=(mine,))
    assert len(Catalog(of).notes) == 2
    smaller = of.model_copy(update={"managers": of.managers[:1]})
    catalog = Catalog(smaller)
    assert not catalog.notes
    assert catalog.newest_of_each() == (stays,)
    assert {copy.manager for copy, _ in catalog.manifests()} == {"manager-a", "manager-b"}
    assert {copy.manager for copy in catalog.newest_manifests()} == {"manager-a", "manager-b"}, "of the swarm's ID"


def test_a_safety_copy_that_came_up_in_a_drill_does_not_end_the_search_for_a_proven_one(
    of: Settings, bucket: Any, tmp_path: Path
) -> None:
    proof = Proof(Verdict.PROVEN, make.NOW)
    hot = put(of, tmp_path, "manager-a", 9, proof=proof)
    safety = put(of, tmp_path, "manager-a", 1, proof=proof, kind="safety")
    assert [copy for copy, _ in Catalog(of).since_proven()] == [safety, hot]


@pytest.fixture
def two(bucket: Any) -> Settings:
    """Settings with a second bucket at the same server."""
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="other")
    return make.settings(backup={**make.RAW["backup"], "second": {"bucket": "other"}})


GOOD = {"proof": Proof(Verdict.PROVEN, make.NOW)}
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "torn": lambda content: content[:-7],
    "altered": lambda content: content[:-7] + bytes(7),
}


def spoil(where: str, key: str, damage: Callable[[bytes], bytes]) -> None:
    found = boto3.resource("s3", region_name="us-east-1").Object(where, key)
    found.put(Body=damage(found.get()["Body"].read()))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("what", ["manifest", "archive"])
@pytest.mark.parametrize(("site", "where"), [("main", "copies"), ("second", "other")])
def test_what_one_site_has_damaged_is_read_from_the_other(
    two: Settings, tmp_path: Path, site: str, where: str, what: str, damage: Callable[[bytes], bytes]
) -> None:
    put(two, tmp_path, "manager-a", 9, **GOOD)
    copy = put(two, tmp_path, "manager-a", 1, **GOOD)
    spoil(where, copy.key if what == "archive" else copy.manifest_key, damage)
    catalog = Catalog(two)
    with newest_good(catalog, Escrow(two), NAMES, make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == copy
        assert found.archive is not None
    assert found.rejected == ()
    told = [
        note for note in catalog.notes if note.startswith(f"the {what} of {copy.name} is damaged at the {site} site (")
    ]
    assert len(told) == (site == "main"), "of the second site nothing was read"


@pytest.mark.parametrize("what", ["manifest", "archive"])
@pytest.mark.parametrize("damage", [DAMAGES["empty"], DAMAGES["torn"]], ids=["empty", "torn"])
def test_a_copy_lies_where_it_is_as_long_as_its_manifest_says(
    two: Settings, tmp_path: Path, what: str, damage: Callable[[bytes], bytes]
) -> None:
    copy = put(two, tmp_path, "manager-a", 1, **GOOD)
    key = copy.key if what == "archive" else copy.manifest_key
    for where, left in (("", ("main", "second")), ("other", ("main",)), ("copies", ())):
        if where:
            spoil(where, key, damage)
        [(found, read)] = Catalog(two).since_proven()
        assert found.sites == left
        assert isinstance(read, DamagedCopy) == (not left)


def test_a_copy_whose_archive_is_short_everywhere_is_not_proven(two: Settings, tmp_path: Path) -> None:
    older, copy = (put(two, tmp_path, "manager-a", minutes, **GOOD) for minutes in (2, 1))
    size = Catalog(two).manifest(copy).size
    for where in ("copies", "other"):
        spoil(where, copy.key, DAMAGES["empty"])
    catalog = Catalog(two)
    (_, damaged), (last, _) = catalog.since_proven()
    assert isinstance(damaged, DamagedCopy)
    assert damaged.why == f"0 of {size} bytes are there (main), 0 of {size} bytes are there (second)"
    assert (last, next(catalog.by_trust(catalog.copies))) == (older, older)
    assert catalog.newest_manifests().keys() == {copy}, "what its manifest tells is true all the same"


def test_an_archive_that_is_removed_after_the_listing_ends_no_search(two: Settings, tmp_path: Path) -> None:
    older, copy = (put(two, tmp_path, "manager-a", minutes, **GOOD) for minutes in (2, 1))
    catalog = Catalog(two)
    for where in ("copies", "other"):
        boto3.client("s3", region_name="us-east-1").delete_object(Bucket=where, Key=copy.key)
    with newest_good(catalog, Escrow(two), NAMES, make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == older
    assert found.rejected == (f"{copy.name}: its archive was removed a moment ago",)
