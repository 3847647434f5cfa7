"""What an agent is told, remembers, keeps in its spool and tells monitors."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from recovery.agent import config, metrics, spool, state
from recovery.agent.config import METRICS_FILE
from recovery.agent.spool import Entry, Spool
from recovery.agent.state import Fault, State
from recovery.copies.manifest import Proof, Verdict
from recovery.errors import CommandFailed
from recovery.node.local import Local
from recovery.s3.bucket import Bucket
from tests.unit import factories as make

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CONFIG = config.Config(
    cluster="lab",
    name="manager-a",
    address=IPv4Address("10.0.0.1"),
    buckets=(Bucket("copies", "requorum", key_file=Path("/key"), as_of=NOW), Bucket("other", "elsewhere")),
    recipients=("age1one",),
    escrow=("age1two",),
    metrics=Path("/metrics"),
)


def test_a_config_is_read_as_it_was_written() -> None:
    assert config.from_json(CONFIG.to_json()) == CONFIG


def test_a_state_is_read_as_it_was_written_and_a_broken_one_is_a_new_one(tmp_path: Path) -> None:
    kept = replace(State(), fingerprint="x", failures=3).failing(Fault.COPY, "no room")
    kept.write(tmp_path / "state.json")
    assert state.read(tmp_path / "state.json") == kept
    for text in ("", "{", '{"other": 1}', "[]"):
        (tmp_path / "state.json").write_text(text)
        assert state.read(tmp_path / "state.json") == State()


def test_a_copy_that_is_not_proven_leaves_its_change_open_and_is_an_alarm() -> None:
    before = State(fingerprint="before", proven=1.0)
    good = make.manifest(proof=Proof(Verdict.PROVEN, NOW))
    done = before.copied(good, "now", 2.0)
    assert (done.fingerprint, done.proven, done.failure) == ("now", good.taken.timestamp(), "")
    for verdict in (Verdict.FAILED, Verdict.UNPROVEN):
        done = before.copied(make.manifest(proof=Proof(verdict, NOW, "why")), "now", 2.0)
        assert (done.fingerprint, done.proven, done.failures) == ("before", 1.0, 1)
        assert "why" in done.failure


def test_a_fault_lasts_until_the_same_thing_succeeds_and_a_round_counts_once() -> None:
    found = State(attempted=1.0).failing(Fault.COPY, "torn\n  next: wait").failing(Fault.STORE, "down\n  next: more")
    assert (found.failure, found.failures) == ("torn; down", 1)
    assert found.copied(make.manifest(proof=Proof(Verdict.PROVEN, NOW)), "now", 2.0).failure == "down"
    assert found.cleared(Fault.STORE).failure == "torn"
    assert replace(found, attempted=found.failed + 1).failing(Fault.COPY, "torn").failures == 2


def spooled(room: Spool, name: str, **changes: Any) -> Entry:
    with room.adding(name) as folder:
        (folder / spool.ARCHIVE).write_bytes(b"sealed")
        return room.add(folder, make.manifest(**changes), "fingerprint")


def test_what_waits_is_there_until_it_is_stored_newest_first(tmp_path: Path) -> None:
    room = Spool(tmp_path, copies=9, size=1 << 20)
    old, new = spooled(room, "1", taken=NOW), spooled(room, "2", taken=NOW + timedelta(1))
    again = Spool(tmp_path, copies=9, size=1 << 20)
    assert again.entries() == (new, old)
    assert new.archive.read_bytes() == b"sealed"
    again.remove(new)
    assert again.entries() == (old,)


def test_what_is_half_does_not_count_and_is_removed(tmp_path: Path) -> None:
    room = Spool(tmp_path, copies=9, size=1 << 20)
    with pytest.raises(OSError, match="full"), room.adding("1"):
        raise OSError("full")
    (tmp_path / "2.new").mkdir()
    (tmp_path / "2.new" / spool.MANIFEST).write_bytes(make.manifest().to_json())
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / spool.MANIFEST).write_text("{")
    assert Spool(tmp_path, copies=9, size=1 << 20).entries() == ()
    assert not (tmp_path / "2.new").exists()


def test_what_is_torn_is_set_aside_each_by_its_name_and_the_oldest_make_room(tmp_path: Path) -> None:
    for name in "1234":
        (tmp_path / "spool" / name).mkdir(parents=True)
        (tmp_path / "spool" / name / spool.MANIFEST).write_text("{")
    room = Spool(tmp_path / "spool", copies=3, size=1 << 20)
    assert [error.doing for error in room.torn] == [f"opening {name} in the spool" for name in "1234"]
    assert sorted(path.name for path in (tmp_path / spool.DAMAGED).iterdir()) == ["2", "3", "4"]
    (tmp_path / "spool" / "5").mkdir()
    (tmp_path / "spool" / "5" / spool.ARCHIVE).write_bytes(b"sealed")
    assert not Spool(tmp_path / "spool", copies=9, size=6).entries()
    assert sorted(path.name for path in (tmp_path / spool.DAMAGED).iterdir()) == ["5"], "they take too much of the disk"


def test_the_oldest_make_room_and_never_the_newest_proven_one(tmp_path: Path) -> None:
    room = Spool(tmp_path, copies=2, size=1 << 20)
    kept = spooled(room, "1", taken=NOW, proof=Proof(Verdict.PROVEN, NOW))
    entries = [spooled(room, str(day), taken=NOW + timedelta(day)) for day in (2, 3, 4)]
    assert room.entries() == (entries[2], entries[1], kept)
    assert spool.superfluous(room.entries(), 9, kept.size) == (entries[1],), "too much on the disk"


def test_commands_fail_as_they_do_over_ssh(tmp_path: Path) -> None:
    here = Local(CONFIG)
    assert here.run(["cat"], stdin=b"in").stdout == b"in"
    here.run(["echo", "out"], stdout=tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"out\n"
    assert here.run(["false"], check=False).status == 1
    with pytest.raises(CommandFailed, match="exit status 3: told"):
        here.run(["sh", "-c", "echo told >&2; exit 3"])
    with pytest.raises(CommandFailed, match=r"0 s(?s:.*)code: command-failed$"):
        here.run(["sleep", "9"], seconds=0.1)
    with pytest.raises(CommandFailed, match="No such file"):
        here.run(["/nothing/here"])


def test_metrics_tell_what_became_of_the_last_round(tmp_path: Path) -> None:
    waiting = (spooled(Spool(tmp_path / "spool", copies=9, size=1 << 20), "1", taken=NOW),)
    state = replace(State(proven=5.0), failures=3).failing(Fault.COPY, "x")
    metrics.write(replace(CONFIG, metrics=tmp_path), state, waiting)
    text = (tmp_path / METRICS_FILE).read_text()
    for line in ("last_proven_timestamp_seconds", "failing"):
        assert f'requorum_agent_{line}{{cluster="lab",manager="manager-a"}}' in text
    assert 'requorum_agent_failing{cluster="lab",manager="manager-a"} 1.0' in text
    assert "# TYPE requorum_agent_failures_total counter" in text
    assert 'requorum_agent_failures_total{cluster="lab",manager="manager-a"} 4.0' in text
    told = metrics.collected(CONFIG, state, waiting)
    labels = {"cluster": "lab", "manager": "manager-a"}
    assert told.get_sample_value("requorum_agent_spool_oldest_timestamp_seconds", labels) == NOW.timestamp()
    for site in ("main", "second"):
        assert told.get_sample_value("requorum_agent_lacking_copies", {**labels, "site": site}) == 1
