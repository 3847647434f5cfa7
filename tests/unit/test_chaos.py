"""The chaos matrix's own parts: what it expects, that it sees what is wrong, and the page that it writes."""

import json
import re
from dataclasses import replace
from math import comb
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.copies import contents
from recovery.copies.manifest import Manifest, from_json
from recovery.errors import DamagedCopy
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.planning.steps import Action, Step
from recovery.swarm.raft import quorum
from tests.chaos import copies, interrupted, oracle, results, table, trial, witness
from tests.chaos.__main__ import managers
from tests.chaos.cluster import TOLD, Cluster
from tests.chaos.oracle import Case, Copies, Ending, Remedy, expected, matrix
from tests.chaos.trial import Result
from tests.chaos.witness import Entry, Picture, View
from tests.unit import factories as make
from tests.unit.copies.test_snapshot import CONTENT, archive, described, sealed_beside

THREE, FIVE = managers(3), managers(5)
A, B, C = THREE
SEALS = copies.Seals(make.IDENTITY)
CASES = [case for names in (THREE, FIVE) for lock in (False, True) for case in matrix(names, autolock=lock)]
WORKERS = ("worker-1", "worker-2")


def test_the_matrix_holds_every_subset_with_every_state_of_the_copies() -> None:
    assert len(CASES) == len({case.name for case in CASES}) == 400
    for names in (THREE, FIVE):
        for count in range(len(names) + 1):
            losses = {case.lost for case in matrix(names) if len(case.lost) == count}
            assert len(losses) == comb(len(names), count)


ENDINGS: list[tuple[tuple[str, ...], Copies, Ending, Remedy | None]] = [
    ((), Copies.MISSING, Ending.NOTHING, None),
    ((), Copies.FOREIGN, Ending.NOTHING, None),
    ((A,), Copies.GOOD, Ending.REJOINED, None),
    ((B,), Copies.MISSING, Ending.REJOINED, None),
    ((C,), Copies.FOREIGN, Ending.REJOINED, None),
    ((A, C), Copies.TORN, Ending.FORCED, None),
    ((A, C), Copies.MISSING, Ending.FORCED, None),
    ((B, C), Copies.FOREIGN, Ending.FORCED, None),
    (THREE, Copies.GOOD, Ending.RESTORED, None),
    (THREE, Copies.TAMPERED, Ending.RESTORED, None),
    (THREE, Copies.FOREIGN, Ending.RESTORED, None),
    (THREE, Copies.MISSING, Ending.RESTORED, Remedy.COPIES_BACK),
]


@pytest.mark.parametrize(("lost", "state", "ending", "remedy"), ENDINGS)
def test_what_a_case_must_end_in(lost: tuple[str, ...], state: Copies, ending: Ending, remedy: Remedy | None) -> None:
    wanted = expected(Case(THREE, lost, state))
    assert (wanted.ending, wanted.remedy) == (ending, remedy)
    assert bool(wanted.refusal) == bool(remedy)
    assert wanted.why


@given(st.sampled_from(CASES))
@settings(max_examples=2 * len(CASES))
def test_what_holds_for_every_case(case: Case) -> None:
    wanted = expected(case)
    held = len(case.survivors) >= quorum(len(case.managers))
    assert held == (wanted.ending in (Ending.NOTHING, Ending.REJOINED))
    assert wanted.safety_copies == (frozenset(case.survivors) if wanted.ending is Ending.FORCED else frozenset())
    assert wanted.renewed <= set(case.lost)
    assert not wanted.renewed or case.copies is Copies.MISSING
    if case.survivors:
        assert wanted.last_change, "a survivor holds everything"
    assert wanted == expected(replace(case, autolock=not case.autolock)), "a lock changes nothing"


def test_only_a_part() -> None:
    assert {case.lost for case in oracle.only(matrix(THREE), "lost=manager-a *torn")} == {(A,)}
    assert len(oracle.only(CASES, "5 autolock=on*good")) == 32
    assert oracle.only(CASES, "") == CASES


def test_a_sample_has_every_loss_and_each_with_two_states_of_the_copies() -> None:
    samples = [oracle.sample(list(matrix(FIVE, autolock=lock))) for lock in (False, True)]
    assert [len({case.lost for case in found}) for found in samples] == [len(found) for found in samples] == [32, 32]
    assert not {(case.lost, case.copies) for case in samples[0]} & {(case.lost, case.copies) for case in samples[1]}
    assert {case.copies for case in samples[0]} == set(Copies)


def entries(*, leader: str = A, mark: str = "new") -> tuple[Entry, ...]:
    return tuple(
        Entry(f"id-{name}", name, "manager" if name in THREE else "worker", True, name == leader, name in THREE, mark)
        for name in (*THREE, *WORKERS)
    )


def picture(*, mark: str = "new") -> Picture:
    def view(name: str) -> View:
        seen = View("20.10", "active", f"id-{name}", "ours", containers=frozenset({f"task-on-{name}"}))
        return replace(seen, entries=entries(mark=mark), containers=frozenset()) if name in THREE else seen

    return Picture({name: view(name) for name in (*THREE, *WORKERS)}, THREE)


def but(seen: Picture, name: str, **changes: object) -> Picture:
    return replace(seen, views={**seen.views, name: replace(seen.views[name], **changes)})  # type: ignore[arg-type]


def entry_but(position: int, **changes: object) -> tuple[Entry, ...]:
    found = list(entries())
    found[position] = replace(found[position], **changes)  # type: ignore[arg-type]
    return tuple(found)


GOOD = Case(THREE, (B,), Copies.GOOD)
MARKS = {True: "new", False: "old"}
WRONG: list[tuple[str, Picture, str]] = [
    ("another swarm", but(picture(), C, cluster_id="other"), "cluster IDs"),
    ("in no swarm", but(picture(), "worker-2", cluster_id=""), "cluster IDs"),
    ("two leaders", but(picture(), B, entries=entry_but(1, leader=True)), "leaders: ['manager-a', 'manager-b']"),
    ("no leader", but(picture(), B, entries=entry_but(0, leader=False)), "leaders: []"),
    ("a stale entry", but(picture(), A, entries=(*entries(), entries()[1])), "the nodes are"),
    ("one missing", but(picture(), A, entries=entries()[:-1]), "the nodes are"),
    ("not Ready", but(picture(), A, entries=entry_but(4, ready=False)), "worker-2 is not Ready"),
    ("not Reachable", but(picture(), A, entries=entry_but(2, reachable=False)), "manager-c is not Reachable"),
    ("a manager that became a worker", but(picture(), A, entries=entry_but(2, role="worker")), "manager-c is a worker"),
    ("an old mark", picture(mark="old"), "the mark is 'old'"),
    ("another identity", but(picture(), B, node_id="new"), "manager-b has a new node ID"),
    ("locked", but(picture(), B, sealed=True), "its key is sealed"),
]


@pytest.mark.parametrize(("after", "said"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_the_witness_sees_what_is_wrong(after: Picture, said: str) -> None:
    assert not witness.recovered(GOOD, expected(GOOD), picture(), picture(), MARKS)
    found = witness.recovered(GOOD, expected(GOOD), picture(), after, MARKS)
    assert any(said in fault for fault in found), found


UNREACHABLE = but(picture(), A, entries=entry_but(2, reachable=False))
OTHERWISE = but(UNREACHABLE, B, node_id="new")
LOOKS: list[tuple[list[Picture], float, str]] = [
    ([picture()], 0.0, ""),
    ([UNREACHABLE, UNREACHABLE, picture()], 4.0, ""),
    ([UNREACHABLE] * 3 + [picture()], 6.0, "stood only 6 s after the recovery"),
    ([UNREACHABLE] * 17, 32.0, "manager-c is not Reachable"),
    ([UNREACHABLE, OTHERWISE], 2.0, "has a new node ID"),
    ([but(picture(), B, node_id="new")], 0.0, "has a new node ID"),
]


@pytest.mark.parametrize(("pictures", "stood_after", "fault"), LOOKS)
def test_what_passes_is_looked_at_again_and_how_long_it_took_is_told(
    monkeypatch: pytest.MonkeyPatch, pictures: list[Picture], stood_after: float, fault: str
) -> None:
    clock, left = [0.0], list(pictures)

    def pause(_: float) -> None:
        clock[0] += 2.0

    monkeypatch.setattr(trial.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(trial.time, "sleep", pause)
    cluster = cast("Cluster", SimpleNamespace(look=lambda: left.pop(0)))
    found, outcome = Result(GOOD), trial.Outcome(Ending.REJOINED)
    after = trial.Trial(cluster)._judge(found, expected(GOOD), outcome, picture(), MARKS)
    assert (after, left, found.stood_after) == (pictures[-1], [], stood_after)
    assert bool(found.faults) == bool(fault)
    assert any(fault in told for told in found.faults) or not fault


def planned(*joining: str) -> Plan:
    return Plan(Kind.ALL_LOST, steps=tuple(Step(Action.JOIN, name, "rejoin", "") for name in joining))


def test_a_recovery_is_killed_as_each_manager_joins_whichever_is_restored() -> None:
    assert [*interrupted.points(THREE, THREE)][2:] == ["quorum back", "join 1", "join 2", "copying"]
    assert [*interrupted.points(FIVE, FIVE[:3])][2:] == ["quorum back", "join 1", "join 2", "join 3", "copying"]
    assert interrupted.line("quorum back", planned(A, B)) == "quorum back"
    for joining in ((A, B), (B, C)):
        assert [interrupted.line(f"join {number}", planned(*joining)) for number in (1, 2)] == [
            f"{name} joins" for name in joining
        ]


TELLING = [
    'level=info msg="raft.node: 1a elected leader" module=raft node=x',
    'level=warning msg="memberlist: Failed fast TCP push/pull: dial tcp 10.77.1.11:7946"',
    'level=error msg="error during NetworkDB periodic bulk sync: networkdb: no peer"',
    'level=info msg="agent: node join event"',
]
CHATTER = ['level=warning msg="grpc: addrConn" module=grpc', 'level=info msg="API listen on /run/docker.sock"']


def test_of_an_engines_log_swarm_and_gossip_are_kept() -> None:
    assert [line for line in TELLING + CHATTER if re.search(TOLD, line)] == TELLING


def test_an_identity_that_was_kept_where_none_could_be() -> None:
    case = Case(THREE, (B,), Copies.MISSING)
    found = witness.recovered(case, expected(case), picture(), picture(), MARKS)
    assert found == ["manager-b kept its node ID"]
    assert not witness.recovered(case, expected(case), picture(), but(picture(), B, node_id="new"), MARKS)


def sealed(key: str) -> Picture:
    seen = picture()
    for name in THREE:
        seen = but(seen, name, sealed=True, unlock_key=key)
    return seen


def test_an_autolocked_swarm_gets_a_new_key_when_its_quorum_is_made_again_and_only_then() -> None:
    kept, forced = Case(THREE, (B,), Copies.GOOD, True), Case(THREE, (A, B), Copies.GOOD, True)
    for case, key, right in ((kept, "k1", True), (kept, "k2", False), (forced, "k1", False), (forced, "k2", True)):
        found = witness.recovered(case, expected(case), sealed("k1"), sealed(key), MARKS)
        assert bool(found) != right, found


def test_second_swarms_and_changed_containers_are_counted() -> None:
    assert not witness.second_swarms(picture(), picture())
    assert not witness.changed_containers(picture(), picture())
    assert len(witness.second_swarms(picture(), but(picture(), C, cluster_id="other"))) == 1
    assert len(witness.changed_containers(picture(), but(picture(), "worker-2", containers=frozenset()))) == 1
    assert not witness.changed_containers(picture(), but(picture(), C, containers=frozenset({"a manager's"})))


def test_what_a_refusal_touched() -> None:
    lost = but(picture(), B, state="inactive", node_id="", cluster_id="", entries=())
    assert not witness.touched(lost, lost)
    assert not witness.touched(lost, but(lost, C, state="")), "an engine that does not answer has not changed"
    assert witness.touched(lost, but(lost, B, state="active", node_id="x", cluster_id="y"))
    assert witness.touched(lost, but(lost, A, entries=entries()[:-1]))


@pytest.fixture
def objects(tmp_path: Path) -> dict[str, bytes]:
    """Two copies of manager-a and manager-b, as they lie in S3."""
    made: dict[str, bytes] = {}
    for name in (A, B):
        for age in ("1", "2"):
            path = archive(tmp_path / (name + age), CONTENT)
            taken = make.NOW.replace(minute=int(age))
            stem = f"p/c/{name}/swarm-20.10-{name}-{age}"
            made[stem + copies.MANIFEST] = described(path, manager=name, taken=taken).to_json()
            made[stem + copies.ARCHIVE] = sealed_beside(path).read_bytes()
    return made


def test_the_newest_copies_are_known_and_kept(objects: dict[str, bytes]) -> None:
    keys = {name: f"p/c/{name}/swarm-20.10-{name}-2{copies.ARCHIVE}" for name in (A, B)}
    assert copies.newest(objects, (A, B)) == keys
    assert set(copies.pruned(objects, (A, B))) == {
        key for key in objects if key.startswith(tuple(stem.removesuffix(copies.ARCHIVE) for stem in keys.values()))
    }


@pytest.mark.parametrize(("state", "manager"), [(Copies.TORN, A), (Copies.TAMPERED, A), (Copies.TAMPERED, B)])
def test_a_spoilt_copy_is_not_what_its_manifest_says(
    objects: dict[str, bytes], tmp_path: Path, state: Copies, manager: str
) -> None:
    spoilt = copies.spoilt(objects, state, (A, B), SEALS)
    key = copies.newest(objects, (A, B))[manager]
    path = tmp_path / "copy"
    path.write_bytes(spoilt[key])
    with pytest.raises(DamagedCopy):
        _read_whole(path, from_json(spoilt[key.removesuffix(copies.ARCHIVE) + copies.MANIFEST], source=key))
    others = [other for other in objects if "-1." in other]
    assert all(spoilt[other] == objects[other] for other in others), "the older copies are left alone"


def _read_whole(path: Path, manifest: Manifest) -> None:
    manifest.check_sealed(path, source="it")
    plain = path.with_suffix(".plain")
    plain.write_bytes(SEALS.open(path.read_bytes()))
    contents.check(plain, manifest, source="it")


def test_tampering_comes_with_and_without_a_fitted_manifest(objects: dict[str, bytes]) -> None:
    spoilt = copies.spoilt(objects, Copies.TAMPERED, (A, B), SEALS)
    changed = {key for key in objects if spoilt[key] != objects[key]}
    assert sorted(key.endswith(copies.MANIFEST) for key in changed) == [False, False, True]


def result(lost: tuple[str, ...], state: Copies, ending: Ending | None, **more: object) -> Result:
    return Result(Case(THREE, lost, state), ending, engines=("20.10.24",), seconds=7.4, whole=12.0, **more)  # type: ignore[arg-type]


CELLS: list[tuple[Result, str]] = [
    (result((), Copies.GOOD, Ending.NOTHING), "nothing to do, 7 s"),
    (result((A,), Copies.GOOD, Ending.REJOINED, led=True), "rejoined, 7 s*"),
    (result((B,), Copies.MISSING, Ending.REJOINED), "joined anew, 7 s"),
    (result((A, B), Copies.TORN, Ending.FORCED, source=C, led=True), "forced c, 7 s"),
    (result((A, B), Copies.MISSING, Ending.FORCED, source=C), "forced c, joined anew, 7 s"),
    (result(THREE, Copies.GOOD, Ending.RESTORED, source=A), "restored a, 7 s"),
    (result(THREE, Copies.TORN, Ending.RESTORED, source=B), "restored b, older, 7 s"),
    (result(THREE, Copies.FOREIGN, Ending.RESTORED, source=B, refused_first=True), "restored b, 7 s"),
    (result(THREE, Copies.MISSING, Ending.RESTORED, source=B, refused_first=True), "refused; then restored b, 7 s"),
    (result((A,), Copies.GOOD, Ending.REJOINED, faults=["a second swarm: x\nmore"]), "**FAULT**: a second swarm: x"),
    (result((A,), Copies.GOOD, None, faults=["broken"]), "**FAULT**: broken"),
]


@pytest.mark.parametrize(("one", "text"), CELLS)
def test_a_cell_says_what_came_of_the_case(one: Result, text: str) -> None:
    assert table.cell(one) == text


def test_the_page_has_a_row_for_each_loss_and_honest_totals() -> None:
    found = [one for one, _ in CELLS[:9]] + [
        result((C,), Copies.GOOD, Ending.REJOINED, second_swarms=1, changed_workers=2, faults=["a second swarm: x"])
    ]
    page = table.document(reversed(found), ["2026-01-02", "2026-01-03"])
    assert "| run | 2026-01-02 to 2026-01-03 |" in page
    assert "| engine | 20.10.24 |" in page
    assert "| cases | 10 |\n| ended as they must | 9 |" in page
    assert "| second swarms | 1 |\n| workers with changed containers | 2 |" in page
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[-7:]] == [
        "| lost",
        "| nobody",
        "| a",
        "| b",
        "| c",
        "| a b",
        "| a b c",
    ]
    assert "## 3 managers, autolock off, engine 28" in page


def test_results_are_read_back_and_only_what_is_left_is_run(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    good, bad = CELLS[1][0], CELLS[5][0]
    for one in (good, replace(bad, faults=["no"]), bad, replace(good, faults=["later"])):
        results.append(file, one)
    with file.open("a") as out:
        out.write('{"name": "cut o')
    found = results.read(file)
    assert found == {good.case.name: replace(good, faults=["later"]), bad.case.name: bad}
    assert results.left([good.case, bad.case, CELLS[0][0].case], found) == [good.case, CELLS[0][0].case]
    assert len(results.dates(file)) == 1


def test_results_of_before_a_field_was_there_are_read(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    results.append(file, replace(CELLS[0][0], stood_after=3.2))
    results.append(file, CELLS[1][0])
    new, old = results.lines(file)
    del old["stood_after"]
    file.write_text(f"{json.dumps(new)}\n{json.dumps(old)}\n")
    page = table.document(results.read(file).values(), results.dates(file))
    assert "until all engines listed it so, in seconds | 3.2 |" in page
