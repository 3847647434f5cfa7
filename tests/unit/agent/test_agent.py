"""The agent's decisions, its memory, its spool, and what is carried to a node."""

import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from io import BytesIO
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from recovery.agent import config, metrics, order, spool, state, watch
from recovery.agent.order import Mark, Order, View
from recovery.agent.spool import Entry, Spool
from recovery.agent.state import Fault, State
from recovery.copies.manifest import Proof, Verdict
from recovery.errors import CommandFailed, SettingError
from recovery.node.local import Local
from recovery.operations import agents, bundle
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
SOON = 30
"""Seconds, also on a machine that is slow or busy."""
SWARM = {"ID": "swarm", "Version": {"Index": 7}, "JoinTokens": {"Worker": "SWMTKN-secret"}}

DECISIONS: dict[str, tuple[int, str, str, Mark | None, Order]] = {
    "the first is content with any manager's copy too": (0, "before", "", Mark("now", "copy-2"), Order.COVERED),
    "nothing changed": (0, "now", "", None, Order.COVERED),
    "the first copies at once": (0, "before", "", None, Order.COPY),
    "the first waits for nobody": (0, "before", "", Mark("before", "copy-1"), Order.COPY),
    "another waits as long as copies come": (1, "before", "copy-1", Mark("between", "copy-2"), Order.WAIT),
    "another is content with any manager's copy": (1, "before", "copy-1", Mark("now", "copy-2"), Order.COVERED),
    "another copies when none came": (1, "before", "copy-1", Mark("before", "copy-1"), Order.COPY),
    "another copies when there never was one": (2, "", "", None, Order.COPY),
}


@pytest.mark.parametrize(("rank", "covered", "seen", "mark", "wanted"), DECISIONS.values(), ids=DECISIONS)
def test_whose_turn_it_is(rank: int, covered: str, seen: str, mark: Mark | None, wanted: Order) -> None:
    assert order.decide(View("now", rank), covered, seen, mark) is wanted
    assert order.decide(View("now", rank), covered, seen, mark, due=True) is Order.COPY
    rests = Order.COVERED if wanted is Order.COVERED else Order.WAIT
    assert order.decide(View("now", rank), covered, seen, mark, resting=True) is rests
    assert order.decide(View("now", rank), covered, seen, mark, due=True, resting=True) is Order.WAIT


def test_the_same_is_tried_again_after_seconds_and_then_after_minutes() -> None:
    pauses = [order.pause(tries) for tries in range(1, 200)]
    assert pauses[:3] == [10.0, 20.0, 40.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 600.0


def test_a_try_rests_for_its_pause_and_a_clock_that_is_set_back_does_not_prolong_it() -> None:
    tried = State().trying("now").trying("now")
    assert tried.tries == 2
    assert tried.resting("now", tried.tried_at + 19)
    assert not tried.resting("now", tried.tried_at + 20)
    assert not tried.resting("now", tried.tried_at - 1)
    assert not tried.resting("other", tried.tried_at)
    assert tried.trying("other").tries == 1


@given(
    some.lists(some.tuples(some.integers(0, 2), some.booleans()), max_size=12),
    some.sets(some.integers(0, 2), max_size=2),
)
def test_whoever_fails_the_last_change_is_copied_and_nobody_copies_for_nothing(
    steps: list[tuple[int, bool]], broken: set[int]
) -> None:
    """Steps: whose round it is, and whether something changed before it. The broken ones' copies never get to S3."""
    covered, seen = ["0"] * 3, [""] * 3
    mark, version, copies = Mark("0", "copy-0"), 0, 0

    def round_of(rank: int) -> None:
        nonlocal mark, copies
        decided = order.decide(View(str(version), rank), covered[rank], seen[rank], mark)
        seen[rank] = mark.copy
        if decided is Order.COPY and rank not in broken:
            copies += 1
            mark = Mark(str(version), f"copy-{copies}")
        if decided is Order.COVERED or (decided is Order.COPY and rank not in broken):
            covered[rank] = str(version)

    for rank, changed in steps:
        version += changed
        round_of(rank)
    for rank in (0, 1, 2) * 3:
        round_of(rank)
    assert mark.fingerprint == str(version)
    before = copies
    for rank in (0, 1, 2):
        round_of(rank)
    assert copies == before


def holdings(**changes: Any) -> dict[str, list[Mapping[str, Any]]]:
    nodes = [
        node("b", leader=True),
        node("c"),
        node("a"),
        {"ID": "w", "Version": {"Index": 2}, "Spec": {"Role": "worker"}},
    ]
    services = [{"ID": "s1", "Version": {"Index": 5}}, {"ID": "s2", "Version": {"Index": 6}}]
    return {"nodes": nodes, "services": services, "networks": [{"Id": "n1"}], "secrets": [], "configs": [], **changes}


def node(
    node_id: str, *, leader: bool = False, version: int = 3, reachability: str = "reachable", **spec: Any
) -> dict[str, Any]:
    return {
        "ID": node_id,
        "Version": {"Index": version},
        "Spec": {"Role": "manager", **spec},
        "Status": {"State": "ready"},
        "ManagerStatus": {"Leader": leader, "Reachability": reachability},
    }


SAME: dict[str, dict[str, Any]] = {
    "another order": {"nodes": holdings()["nodes"][::-1], "services": holdings()["services"][::-1]},
    "what a copy itself does: a node's entry written anew": {
        "nodes": [node("b", leader=True, version=9), *holdings()["nodes"][1:]]
    },
    "another leader": {"nodes": [node("b"), node("c", leader=True), *holdings()["nodes"][2:]]},
}
OTHER: dict[str, dict[str, Any]] = {
    "a service changed": {"services": [{"ID": "s1", "Version": {"Index": 8}}, {"ID": "s2", "Version": {"Index": 6}}]},
    "a service is gone": {"services": [{"ID": "s1", "Version": {"Index": 5}}]},
    "a network came": {"networks": [{"Id": "n1"}, {"Id": "n2"}]},
    "a node's label": {"nodes": [node("b", leader=True, Labels={"a": "b"}), *holdings()["nodes"][1:]]},
    "a node is gone": {"nodes": holdings()["nodes"][1:]},
}


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME)
def test_what_no_copy_need_hold_does_not_count_as_a_change(changes: dict[str, Any]) -> None:
    assert order.view(holdings(**changes), SWARM, "a").fingerprint == order.view(holdings(), SWARM, "b").fingerprint


@pytest.mark.parametrize("changes", OTHER.values(), ids=OTHER)
def test_everything_else_counts_as_a_change(changes: dict[str, Any]) -> None:
    assert order.view(holdings(**changes), SWARM, "a").fingerprint != order.view(holdings(), SWARM, "a").fingerprint


def test_a_change_to_the_swarm_itself_counts() -> None:
    later = {**SWARM, "Version": {"Index": 8}}
    assert order.view(holdings(), later, "a").fingerprint != order.view(holdings(), SWARM, "a").fingerprint


def test_the_leader_copies_last_and_who_cannot_be_reached_never() -> None:
    nodes = [node("b", leader=True), node("c"), node("a"), node("0", reachability="unreachable")]
    assert [order.rank(nodes, one) for one in "acb0"] == [0, 1, 2, 3]


class Ended(Exception):
    """The watch would wait for another change."""


def watched(monkeypatch: pytest.MonkeyPatch, managers_before: int, state: str) -> tuple[list[float], list[str]]:
    """The seconds that a watch waits after a change, and what it runs then; ``state`` is the one of the round's unit."""
    waited, ran = list[float](), list[str]()

    def events(_: Path) -> Iterator[bytes]:
        yield b""
        threading.Event().wait()

    def pause(seconds: float) -> None:
        if threading.current_thread() is not threading.main_thread():
            threading.Event().wait()
        if waited:
            raise Ended
        waited.append(seconds)

    def run(argv: tuple[str, ...], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(argv[1])
        looking._changed.set()  # for another round, before which it ends
        return subprocess.CompletedProcess(argv, 0, f"{state}\n")

    looking = watch.Watch(Path("/socket"))
    monkeypatch.setattr(watch.api, "events", events)
    monkeypatch.setattr(watch.api, "ask", lambda *_: {"Swarm": {"NodeID": "b"}, "Version": {"Index": 7}})
    monkeypatch.setattr(watch.order, "rank", lambda nodes, node_id: managers_before)
    monkeypatch.setattr(watch, "sleep", pause)
    monkeypatch.setattr(watch.subprocess, "run", run)
    with pytest.raises(Ended):
        looking.run()
    return waited, ran


@pytest.mark.parametrize("managers_before", [0, 1, 2])
def test_after_a_change_each_manager_gives_those_before_it_time(
    managers_before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited, _ = watched(monkeypatch, managers_before, "inactive")
    assert waited == [watch.DEBOUNCE_SECONDS + managers_before * watch.PATIENCE_SECONDS]


@pytest.mark.parametrize(("state", "starts"), [("inactive", 1), ("failed", 1), ("activating", 2)])
def test_a_round_that_may_have_looked_before_the_change_is_followed_by_another(
    state: str, starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ran = watched(monkeypatch, 0, state)
    assert ran == ["show", *["start"] * starts]


SILENT = watch.api.Refused("GET /swarm: the swarm does not have a leader")
ASKS, RESTS = watch.ASK_SECONDS, watch.SILENT_SECONDS


@pytest.mark.parametrize(
    ("answers", "up", "told"),
    [
        ([7, 7, 8, SILENT, 8], "abc", [(ASKS, True), (ASKS, False), (ASKS, True), (RESTS, False), (ASKS, True)]),
        ([7, 7, 8], "ac", [(ASKS, True), (ASKS, False), (ASKS, True)]),
        ([7, "not asked", 7], "c", [(ASKS, True), (RESTS, False), (ASKS, True)]),
    ],
    ids=["of three", "of two", "of a survivor"],
)
def test_a_change_of_the_swarm_itself_of_which_no_event_tells_starts_a_round(
    answers: list[Any], up: str, told: list[tuple[float, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as another unlock key. Who sees no quorum, or has no answer, rests: an engine that looks for its leader is held by it."""
    heard = list[tuple[float, bool]]()
    asking, done = watch.Watch(Path("/socket")), threading.Event()

    def ask(_: Path, __: str, what: str) -> Any:
        if what == "/nodes":
            managers = [{"ID": name, "ManagerStatus": {"Addr": f"{name}:2377"}} for name in "abc"]
            return [*managers, {"ID": "worker"}]
        if what != "/swarm":
            return {"Swarm": {"NodeID": "b"}}
        answer = answers[len(heard)]
        if isinstance(answer, Exception):
            raise answer
        assert answer != "not asked"
        return {"Version": {"Index": answer}}

    def pause(seconds: float) -> None:
        heard.append((seconds, asking._changed.is_set()))
        asking._changed.clear()
        if len(heard) == len(answers):
            done.set()
            threading.Event().wait()

    def never(_: Path) -> Iterator[bytes]:
        threading.Event().wait()
        yield b""

    monkeypatch.setattr(watch.api, "events", never)
    monkeypatch.setattr(watch.api, "ask", ask)
    monkeypatch.setattr(watch, "_accepts", lambda address: address.removesuffix(":2377") in up)
    monkeypatch.setattr(watch, "sleep", pause)
    monkeypatch.setattr(asking._changed, "wait", threading.Event().wait)  # its round is for the other tests
    threading.Thread(target=asking.run, daemon=True).start()
    assert done.wait(SOON), "it does not ask"
    assert heard == told


def test_a_port_that_is_open_is_told_from_one_that_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert watch._accepts(address)
    assert not watch._accepts(address)


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
    text = (tmp_path / metrics.FILE).read_text()
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


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as it lies on a node, and beside it what a node has of its own."""
    lib = tmp_path_factory.mktemp("lib")
    with tarfile.open(fileobj=BytesIO(bundle.packed(bundle.library()))) as tar:
        tar.extractall(lib, filter="data")
    for name in ("cryptography", "nacl", "cffi", "_cffi_backend"):
        spec = find_spec(name)
        assert spec
        assert spec.origin
        file = Path(spec.origin)
        found = file.parent if file.name == "__init__.py" else file
        (lib / found.name).symlink_to(found)
    return lib


def run(lib: Path, code: str) -> "subprocess.CompletedProcess[bytes]":
    argv = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(lib)!r}); {code}"]
    return subprocess.run(argv, capture_output=True)


def test_an_agent_needs_nothing_but_what_is_carried_and_the_nodes_own_two(carried: Path) -> None:
    done = run(
        carried,
        "import recovery.agent.__main__, recovery.agent.run, recovery.agent.metrics, boto3, docker; "
        "boto3.client('s3', region_name='x', endpoint_url='http://127.0.0.1:1'); "
        "from recovery.node import program; program.packed()",
    )
    assert done.returncode == 0, done.stderr.decode()


def test_the_watch_needs_no_package_at_all(carried: Path) -> None:
    done = run(carried, "import recovery.agent.watch; print(*{name.split('.')[0] for name in sys.modules})")
    assert done.returncode == 0, done.stderr.decode()
    assert not {"boto3", "docker", "requests", "cryptography"} & set(done.stdout.decode().split())


def test_nothing_compiled_is_carried() -> None:
    assert not [path for path in bundle.library() if path.endswith((".so", ".pyd"))]
    assert sum(map(len, bundle.library().values())) < 12_000_000


def test_credentials_are_carried_beside_the_settings_and_change_the_digest(tmp_path: Path) -> None:
    given = tmp_path / "credentials"
    given.write_text("[default]\n")
    of = make.settings(agent={"credentialsFile": str(given)})
    files = agents._files(of, of.managers[0])
    assert files["etc/credentials"] == b"[default]\n\n"
    before = agents.digest(of, of.managers[0])
    given.write_text("[default]\naws_access_key_id = other\n")
    assert agents.digest(of, of.managers[0]) != before
    told = config.from_json(files["etc/config.json"])
    assert (told.name, told.buckets[0].write_only) == (of.managers[0].name, True)
    given.unlink()
    with pytest.raises(SettingError) as caught:
        agents.digest(of, of.managers[0])
    assert caught.value.key == "agent.credentialsFile"
