"""The diary of a manager: what it saw of the quorum, on the node and in S3."""

import json
from functools import reduce
from pathlib import Path
from time import time
from typing import Any

import pytest

from recovery.agent import diary
from recovery.agent.diary import LONGEST, SEEN, TELLS, TOLD, Diary, as_json, read
from recovery.agent.run import DUE
from recovery.agent.state import DONE
from recovery.errors import StoreError
from recovery.s3.store import Store
from recovery.swarm import history
from recovery.swarm.history import History
from tests.unit import factories as make
from tests.unit.agent.world import PREFIX, World

START = 1_795_000_000
KEY = f"{PREFIX}agent/history/manager-a.json"


def in_s3(world: World) -> History:
    return history.read(world.bucket.Object(KEY).get()["Body"].read())


def looks(file: Path, *told: tuple[float, bool]) -> History:
    made = Diary(file)
    for at, quorum in told:
        made.note(quorum=quorum, now=START + at)
    return read(file)


def test_what_lies_between_two_looks_was_watched_and_had_a_quorum_if_both_say_so(tmp_path: Path) -> None:
    seen = looks(
        tmp_path / "d" / SEEN, (0, True), (10, True), (20, False), (80, False), (140, True), (150, True), (160, False)
    )
    assert seen.watched == ((START, START + 160),)
    assert seen.lost == ((START + 10, START + 140), (START + 150, START + 160))


def test_nobody_watched_while_the_machine_was_off(tmp_path: Path) -> None:
    seen = looks(tmp_path / SEEN, (0, True), (10, True), (10 + LONGEST + 1, False), (300, True))
    assert seen.watched == ((START, START + 10), (START + 11 + int(LONGEST), START + 300))
    assert seen.lost == ((START + 11 + int(LONGEST), START + 300),)


def test_a_clock_that_goes_back_makes_no_span(tmp_path: Path) -> None:
    assert looks(tmp_path / SEEN, (100, True), (0, True), (1, False)).watched == ((START, START + 1),)


def test_a_diary_goes_on_after_the_watch_began_again(tmp_path: Path) -> None:
    looks(tmp_path / SEEN, (0, True), (10, False))
    assert looks(tmp_path / SEEN, (100, True), (110, False)).watched == (
        (START, START + 10),
        (START + 100, START + 110),
    )


def test_it_is_not_written_at_every_look(tmp_path: Path) -> None:
    looks(tmp_path / SEEN, (0, True), (10, True), (20, True))
    assert read(tmp_path / SEEN).watched == ()
    made = Diary(tmp_path / SEEN)
    for at in range(0, 400, 10):
        made.note(quorum=True, now=START + at)
    assert read(tmp_path / SEEN).watched == ((START, START + 300),)


def test_a_round_tells_it_in_s3(world: World) -> None:
    now = int(time())
    (world.folder / SEEN).write_bytes(as_json(History(((now - 90, now - 30),), ((now - 60, now - 50),))))
    assert world.run() == DONE
    told = in_s3(world)
    assert (told.watched, told.lost) == (((now - 90, now - 30),), ((now - 60, now - 50),))
    assert told.proven == (int(world.state.proven),)
    assert read(world.folder / TOLD) == told


def test_a_machine_that_was_made_again_does_not_end_what_was_told(world: World) -> None:
    now = int(time())
    before = History(((now - 9000, now - 8000),), ((now - 8500, now - 8400),), (now - 8700,))
    world.bucket.put_object(Key=KEY, Body=as_json(before))
    assert world.run() == DONE
    assert in_s3(world) == before.joined(History(proven=(int(world.state.proven),)))


@pytest.mark.parametrize("silent", ["main", "second"])
def test_what_a_site_missed_is_told_there_the_next_time(
    bucket: Any, out: set[str], tmp_path: Path, silent: str
) -> None:
    bucket.meta.client.create_bucket(Bucket="other")
    of = make.settings(backup={**make.RAW["backup"], "second": {"bucket": "other"}})
    now, parts = int(time()), list[History]()
    for turn, names in enumerate(({silent}, {"main", "second"} - {silent}, set[str]())):
        part = History(((now - 9000 + 100 * turn, now - 8950 + 100 * turn),), ())
        parts.append(part)
        (tmp_path / str(turn)).mkdir()
        (tmp_path / str(turn) / SEEN).write_bytes(as_json(part))
        out.clear()
        out.update(names)
        diary.tell(Store(of.backup.sites), KEY, tmp_path / str(turn), 0)
    assert history.read(bucket.Object(KEY).get()["Body"].read()) == reduce(History.joined, parts)


@pytest.mark.parametrize("there", [b"{", b"[1]", json.dumps({"watched": [[1]]}).encode(), b'{"watched": [["a", "b"]]}'])
def test_what_is_no_history_is_replaced(there: bytes, world: World) -> None:
    world.bucket.put_object(Key=KEY, Body=there)
    assert world.run() == DONE
    assert in_s3(world).proven


def test_it_is_told_now_and_then(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run()
    world.bucket.Object(KEY).delete()
    (world.folder / DUE).touch()
    world.run()
    assert KEY.removeprefix(PREFIX) not in world.stored()
    now = time()
    monkeypatch.setattr(diary, "time", lambda: now + TELLS + 1)
    world.run()
    assert in_s3(world).proven


def test_s3_that_refuses_it_is_a_fault_and_no_copy_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def put(self: Any, key: str, body: bytes) -> None:
        if key == KEY:
            raise StoreError("writing", "AccessDenied", remedy="requorum policy", code="s3-refused")
        before(self, key, body)

    before = Store.put
    monkeypatch.setattr(Store, "put", put)
    assert world.run() == DONE
    assert list(world.state.faults) == ["history"]
    assert not world.waiting
    monkeypatch.setattr(Store, "put", before)
    assert world.run() == DONE
    assert world.state.faults == {}
