"""Which copy is chosen, and why the others are not."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pyrage
import pytest
from syrupy.assertion import SnapshotAssertion

from recovery.copies.catalog import BATCH, Catalog
from recovery.copies.choice import newest_good
from recovery.copies.copy import MANIFEST, Copy
from recovery.copies.escrow import Escrow
from recovery.copies.latest import may_be_newest, since_proven
from recovery.copies.manifest import Proof, Verdict
from recovery.copies.order import by_trust
from recovery.copies.swarm_id import known_id
from recovery.errors import DamagedCopy, SettingError
from recovery.s3.site import Site
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.copies.stored import NAMES, put


@pytest.fixture
def of() -> Settings:
    return make.settings()


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
    assert [one.copy.name for one in found.rejected] == [no_manifest.name, torn.name, foreign.name]
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
    assert [one.copy.name for one in found.rejected] == [bad.name]


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


def test_proven_copies_come_first_and_those_that_failed_last(
    of: Settings, bucket: Any, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    proofs = {verdict: Proof(verdict, make.NOW, "as it was") for verdict in Verdict}
    failed = put(of, tmp_path, "manager-a", 1, proof=proofs[Verdict.FAILED])
    unproven = put(of, tmp_path, "manager-b", 2, proof=proofs[Verdict.UNPROVEN])
    newest = put(of, tmp_path, "manager-c", 3, proof=proofs[Verdict.PROVEN])
    older = put(of, tmp_path, "manager-a", 4, proof=proofs[Verdict.PROVEN])
    order = [newest, older, unproven, failed]
    assert list(by_trust(Catalog(of).reading(Catalog(of).copies))) == order
    for chosen in order:
        with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER) as found:
            assert found.choice is not None
            assert found.choice.copy == chosen
        if chosen == newest:
            assert tuple(f"{one.copy.name}: {one.why}" for one in found.rejected) == snapshot
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
    assert tuple(f"{one.copy.name}: {one.why}" for one in found.rejected) == snapshot
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER) as found:
        assert (found.choice, found.rejected) == (None, ()), "nobody asked for it"


def test_a_copy_that_no_identity_here_opens_is_passed_over(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, "manager-a", 1)
    file = tmp_path / "stranger"
    file.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    strange = of.model_copy(update={"backup": of.backup.model_copy(update={"identity_file": file})})
    with newest_good(Catalog(strange), Escrow(of), NAMES, None) as found:
        assert found.choice is None
    assert "identities of requorum:backup.identityFile do not open it" in found.rejected[0].why
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


def test_threads_that_need_one_manifest_read_it_once(
    of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = put(of, tmp_path, "manager-a", 1)
    counting, catalog = Counting(monkeypatch), Catalog(of)
    together = Barrier(8)

    def read(_: int) -> str:
        together.wait()
        return catalog.manifest(copy).node_id

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert len({*pool.map(read, range(8))}) == 1
    assert counting.read == [copy.manifest_key]


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
    assert [one.copy.name for one in found.rejected] == [copy.name for copy in newer]
    assert len(counting.read) <= BATCH
    counting.read.clear()
    assert len(since_proven(Catalog(of))) == 1 + len(newer)
    assert len(counting.read) <= BATCH + len(newer)
    counting.read.clear()
    with newest_good(Catalog(of), Escrow(of), NAMES, make.CLUSTER, choice=chosen.name):
        pass
    assert set(counting.read) == {chosen.manifest_key, newer[0].manifest_key}, "and one, for whose the copies are"


def test_those_that_may_be_the_newest_are_found_behind_many_that_do_not_count(
    of: Settings, bucket: Any, tmp_path: Path
) -> None:
    good, bad = ({"proof": Proof(verdict, make.NOW)} for verdict in (Verdict.PROVEN, Verdict.FAILED))
    put(of, tmp_path, "manager-a", BATCH + 4, **good)
    near = [put(of, tmp_path, "manager-a", BATCH + 3, **good), put(of, tmp_path, "manager-b", BATCH + 5, **good)]
    for minutes in range(BATCH + 2):
        put(of, tmp_path, "manager-a", minutes, **bad)
    torn = put(of, tmp_path, "manager-c", 1, **good)
    bucket.put_object(Key=torn.manifest_key, Body=b"{")
    found = may_be_newest(Catalog(of), lambda one: one.verdict is Verdict.PROVEN)
    assert set(found) == set(near)


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
    assert list(by_trust(catalog.reading(catalog.copies)))[:2] == [right, early]
    assert [copy.ahead for copy in catalog.copies] == [False, False, True, True]
    assert {copy.dated for copy in catalog.copies if copy.ahead} == {make.NOW}
    with newest_good(catalog, Escrow(of), NAMES, make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == right
    told = {one.copy.name: f"{one.copy.name}: {one.why}" for one in found.rejected}
    assert told[early.name] == snapshot
    assert [note for note in catalog.notes if early.clock in note]
    with newest_good(catalog, Escrow(of), ["manager-a"], make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == early, "it is better than none"
