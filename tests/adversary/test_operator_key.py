"""Somebody who has the operator's S3 key, and not the operator's SSH key: may write, read and delete every object."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies import keeps
from recovery.copies.catalog import Catalog
from recovery.copies.manifest import Proof, Verdict
from recovery.data.catalog import DataCatalog, DataCopy
from recovery.data.restore import choose
from recovery.errors import NoUsableCopy, SettingError
from recovery.node.signing import SIGNATURE, Kind, Operators
from recovery.operations import consent, drill, fence, last_drills, reports, unfinished
from recovery.operations.keep import keep
from recovery.operations.prune import DATA
from recovery.planning.diagnosis import Kind as Diagnosed
from recovery.planning.plan import Plan
from recovery.s3 import lease
from recovery.settings import Settings
from recovery.steps import journal
from recovery.survey import lost
from recovery.survey.lost import LossDeclaration
from recovery.swarm.machines import Ssh
from recovery.swarm.model import Reach
from tests.unit import factories as make
from tests.unit.copies.stored import put
from tests.unit.data import stored as data

A, B, C = (node.name for node in make.settings().managers)
S = data.ruled(last=1)
FLAGGED = S.model_copy(update={"recover": True})
HEALTHY = Plan(Diagnosed.HEALTHY)
Write = Callable[[str, bytes], None]
Forge = Callable[[Kind, str, dict[str, Any]], bytes]


@pytest.fixture
def write(bucket: Any) -> Write:
    def store(key: str, content: bytes) -> None:
        bucket.put_object(Key=key, Body=content)

    return store


def unsigned(_: Kind, __: str, document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def by_own_key(kind: Kind, key: str, document: dict[str, Any]) -> bytes:
    file = make.ssh_key("forger")
    return Operators(Ssh(private_key_file=file, known_hosts_file=file), ()).sign(kind, key, document)


def with_another_signature(kind: Kind, key: str, document: dict[str, Any]) -> bytes:
    """A genuine signature, of another object of the same kind."""
    genuine = json.loads(Cluster(S).operators.sign(kind, f"{key}.older", document))
    return json.dumps({**document, SIGNATURE: genuine[SIGNATURE]}).encode()


forgeries = pytest.mark.parametrize("forge", [unsigned, by_own_key, with_another_signature])


def word(name: str, now: datetime) -> LossDeclaration:
    return LossDeclaration(name, str(S.node(name).address), now, "switched off", "ops@desk")


def reach(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Reach, str]:
    monkeypatch.setattr(lost, "is_silent", lambda *_, **__: True)
    [seen] = lost.with_declarations(Cluster(S), [make.silent(S.node(name))], datetime.now(UTC))
    return seen.reach, seen.detail


@forgeries
def test_a_forged_word_names_no_machine_lost(write: Write, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    document = {**asdict(word(B, now)), "when": now.isoformat()}
    document.pop("unsigned", None)
    key = S.keys.lost_node(B)
    write(key, forge(Kind.LOST, key, document))
    found, detail = reach(B, monkeypatch)
    assert found is Reach.SILENT
    assert "a declaration that it is lost does not count" in detail
    lost.declare_lost(Cluster(S), word(B, now - timedelta(minutes=1)))
    write(S.keys.lost_node("other"), forge(Kind.LOST, S.keys.lost_node("other"), document))
    assert reach(B, monkeypatch)[0] is Reach.NAMED, "a newer forged one hides no genuine one"


def test_a_genuine_word_at_another_place_or_about_another_machine_says_nothing(
    write: Write, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost.declare_lost(Cluster(S), word(A, datetime.now(UTC)))
    genuine = bucket.Object(S.keys.lost_node(A)).get()["Body"].read()
    address = str(S.node(B).address)
    write(S.keys.lost_node(B), genuine.replace(str(S.node(A).address).encode(), address.encode()))
    write(S.keys.lost_node(C), genuine)
    assert reach(B, monkeypatch)[0] is Reach.SILENT
    bucket.Object(S.keys.lost_node(A)).delete()
    assert reach(A, monkeypatch)[0] is Reach.SILENT, "the copy of a word that was withdrawn"


def test_nothing_is_switched_off_if_the_word_could_not_be_signed(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = make.settings(operators=[Path(f"{make.ssh_key('forger')}.pub").read_text()])
    done: list[str] = []
    for name in ("check", "stable_survey", "_switch_off", "_await_silence"):
        monkeypatch.setattr(fence, name, lambda *_, name=name, **__: done.append(name))
    with pytest.raises(SettingError, match=r"code: not-an-operator$"):
        fence.fence(Cluster(other), other.node(A), say=print)
    assert done == []


def counts() -> bool:
    cluster = Cluster(FLAGGED)
    return not consent.is_spent(cluster, cluster.store)


@forgeries
def test_a_saved_flag_comes_back_to_life_by_nothing_in_the_bucket(bucket: Any, write: Write, forge: Forge) -> None:
    consent.keep_up(Cluster(S), HEALTHY)
    assert counts(), "what an update without the flag wrote"
    consent.settle(Cluster(FLAGGED), FLAGGED.recover)
    for entry in bucket.objects.all():
        entry.delete()
    assert not counts()
    key = FLAGGED.keys.root + "consent.json"
    write(key, forge(Kind.CONSENT, key, {"counts": True, "at": datetime.now(UTC).isoformat()}))
    assert not counts()


def test_a_note_of_before_a_recovery_does_not_load_the_flag_again(bucket: Any, write: Write) -> None:
    consent.keep_up(Cluster(S), HEALTHY)
    key = FLAGGED.keys.consent
    before = bucket.Object(key).get()["Body"].read()
    report(datetime.now(UTC) + timedelta(milliseconds=1), write)
    write(key, before)
    assert not counts()
    consent.settle(Cluster(S), "r0123456789abcdef")
    assert not counts(), "a run under a plan's ID renews nothing"
    consent.settle(Cluster(S), recover=False)
    assert counts(), "but the proof of a run without the flag does"


def report(at: datetime, write: Write, *, signed: bool = True) -> str:
    name = at.strftime("%Y%m%dT%H%M%S%fZ")
    key = f"{S.keys.reports}{name}.json"
    write(key, Cluster(S).operators.sign(Kind.REPORT, key, {"name": name}) if signed else b'{"name": 1}')
    return name


def test_a_forged_report_hides_no_unfinished_run_and_spoils_no_list(write: Write) -> None:
    cluster = Cluster(S)
    genuine = report(datetime.now(UTC) - timedelta(minutes=1), write)
    entry = journal.begin(cluster, "force", A, print)
    report(datetime.now(UTC), write, signed=False)
    assert reports.newest(cluster, cluster.store) == genuine
    assert unfinished.begun(cluster, cluster.catalog()) == entry.begun
    found, unreadable = reports.every(cluster)
    assert ([one["name"] for one in found], len(unreadable)) == ([genuine], 1)


def test_each_proof_ends_the_ids_of_before_also_by_a_clock_that_is_ahead_and_none_that_nobody_signed(
    write: Write,
) -> None:
    cluster, now = Cluster(S), datetime.now(UTC)
    seen = [reports.proofs(cluster, cluster.store)]
    for minutes in (-9, 60, -1, 90):
        report(now + timedelta(minutes=minutes), write)
        seen.append(reports.proofs(cluster, cluster.store))
    assert len(set(seen)) == len(seen), "each differs from all before"
    report(now + timedelta(minutes=99), write, signed=False)
    assert reports.proofs(cluster, cluster.store) == seen[-1]


@forgeries
def test_a_forged_entry_of_the_journal_is_no_step(write: Write, forge: Forge) -> None:
    cluster = Cluster(S)
    name = "20260102T030405000006Z-force-manager-a.json"
    document = {"action": "force", "node": A, "begun": "2026-01-02T03:04:05+00:00", "who": "x", "facts": []}
    write(S.keys.journal + name, forge(Kind.JOURNAL, S.keys.journal + name, document))
    assert journal.read(cluster) == ()
    assert unfinished.begun(cluster, cluster.catalog()) is None


@forgeries
@pytest.mark.parametrize("verdict", [Verdict.PROVEN, Verdict.FAILED])
def test_a_forged_drill_proves_nothing_and_spoils_nothing(
    bucket: Any, write: Write, forge: Forge, verdict: Verdict, tmp_path: Path
) -> None:
    copy = put(S, tmp_path, A, 5)
    made = Catalog(S).manifest(copy).verdict
    proof = {"proof": Proof(verdict, datetime.now(UTC)).to_dict()}
    for key in (copy.drill_key, S.keys.drill(A)):
        write(key, forge(Kind.DRILL, key, proof))
    catalog = Catalog(S)
    assert catalog.manifest(copy).verdict is made
    assert catalog.drilled(copy) is None
    assert last_drills.last(Cluster(S), catalog) == {}
    assert any("does not count" in note for note in catalog.notes)


def test_the_genuine_drill_of_one_copy_proves_no_other(bucket: Any, write: Write, tmp_path: Path) -> None:
    copy, other = put(S, tmp_path, A, 5), put(S, tmp_path, A, 9)
    result = drill.Drill(copy, A, Proof(Verdict.PROVEN, datetime.now(UTC)), 1.0, 2.0)
    drill._keep(Cluster(S), Catalog(S).store, copy.drill_key, result)
    write(other.drill_key, bucket.Object(copy.drill_key).get()["Body"].read())
    assert [Catalog(S).manifest(one).verdict for one in (copy, other)] == [Verdict.PROVEN, Verdict.UNPROVEN]


@forgeries
def test_a_forged_mark_keeps_its_copy_and_says_that_nobody_signed_it(
    write: Write, forge: Forge, tmp_path: Path
) -> None:
    copy, other = put(S, tmp_path, A, 5), put(S, tmp_path, A, 9)
    _, genuine = keep(Cluster(S), other.name, "evidence", now=make.NOW, say=print)
    write(copy.keep_key, forge(Kind.KEEP, copy.keep_key, genuine.to_document()))
    marks = keeps.read(Catalog(S))
    assert marks[other] == genuine
    assert marks[copy].text.endswith(", unsigned")


def forged_data(genuine: DataCopy, of: Settings, write: Write, forge: Forge, bucket: Any) -> DataCopy:
    """A newer data copy, whose content is the forger's: age seals to a public recipient."""
    manifest = replace(DataCatalog(Cluster(of)).manifest(genuine), taken=make.NOW)
    key = f"{of.keys.data}rows/data-rows-{make.NOW:%Y%m%dT%H%M%S%fZ}"
    write(f"{key}.zst.age", bucket.Object(genuine.key).get()["Body"].read())
    write(f"{key}.manifest.json", forge(Kind.DATA, f"{key}.manifest.json", manifest.to_document()))
    return next(copy for copy in DataCatalog(Cluster(of)).copies if copy.key == f"{key}.zst.age")


@forgeries
def test_forged_data_are_restored_only_by_name_and_stand_in_for_no_genuine_ones(
    bucket: Any, write: Write, forge: Forge, tmp_path: Path
) -> None:
    genuine = data.put(S, tmp_path)
    forged = forged_data(genuine, S, write, forge, bucket)
    catalog = DataCatalog(Cluster(S))
    assert catalog.copies[0] == forged
    assert choose(catalog, "rows", None) == genuine
    assert choose(catalog, "rows", make.NOW) == genuine
    assert choose(catalog, "rows", forged.name) == forged
    assert catalog.manifest(forged).unsigned
    kept = {one.copy for one in DATA.look(Cluster(S), make.NOW + timedelta(days=99)) if one.keep}
    assert kept == {genuine, forged}, "the rule keeps one of each signer"
    bucket.Object(genuine.manifest_key).delete()
    with pytest.raises(NoUsableCopy, match=r"no copy of it that an operator signed(?s:.*)--copy data-rows"):
        choose(DataCatalog(Cluster(S)), "rows", None)


def test_a_lease_that_is_never_given_back_is_broken_by_its_id(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"RENEW_SECONDS": 0.05, "PAUSE": 0.02, "WAIT_SECONDS": 5.0}.items():
        monkeypatch.setattr(lease, name, seconds)
    stuck, cluster = Cluster(S), Cluster(S)
    with stuck.hold("a recovery that hangs", say=print):
        [held] = lease.holdings(cluster.store, [S.keys.lease])
        assert "a recovery that hangs" in held.whose
        lease.break_off(cluster.store, held)
        with cluster.hold("the next recovery", say=print):
            [now] = lease.holdings(cluster.store, [S.keys.lease])
            assert "the next recovery" in now.whose
            with pytest.raises(lease.Refused, match=r"code: lease-lost$"):
                stuck.require_held("forcing")
