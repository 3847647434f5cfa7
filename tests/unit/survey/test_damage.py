"""What a survey says of a manager whose engine does not come up: its log, its disk, or neither."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any, cast

import pytest

from recovery.copies import snapshot
from recovery.copies.escrow import Escrow
from recovery.copies.snapshot import Staged
from recovery.node.program import PYTHON
from recovery.node.shell import DATA_ROOT, Output
from recovery.node.ssh import Shell
from recovery.onnode.archive import UNREADABLE
from recovery.survey.damage import LEAST_BYTES, examined
from recovery.survey.survivors import tried
from recovery.swarm.model import LocalState, NodeReport, Reach
from tests.unit import factories as make
from tests.unit.swarm.test_key_file import key_file, unlock_key

A = make.settings().managers[0]
PLENTY = 1 << 30
ENGINE_SAYS = "manager stopped: can't initialize raft node: irreparable WAL error: walpb: crc mismatch"
ENGINE_IS_FULL = "manager stopped: can't initialize raft node: irreparable WAL error: no space left on device"
UP = make.leaderless(A)
FAILED = replace(UP, state=LocalState.ERROR, detail=ENGINE_SAYS)
DOWN = replace(UP, reach=Reach.NO_ENGINE, state=LocalState.INACTIVE)
LOCKED = replace(UP, state=LocalState.LOCKED)
LEFT_OVER = replace(UP, state=LocalState.INACTIVE)
WRONG, TORN, WHOLE = ("a wrong checksum", False), ("a wrong checksum", True), ("", False)
CUT_OFF = ("a length that runs past the end of the file", True)


class Node:
    """A machine that runs the program, and writes down its verbs."""

    node = A

    def __init__(
        self, log: tuple[str, bool] | None, engine: str = "failed", restarts: str = "0", age: float = 5
    ) -> None:
        self.log, self.verbs = log, list[str]()
        since = f"ExecMainStartTimestampMonotonic={10**9 - round(age * 10**6)}\nnow=1000.00\n"
        self.unit = f"ActiveState={engine}\nNRestarts={restarts}\n{since}" if engine else ""

    def run(self, argv: Sequence[str], **_: Any) -> Output:
        if argv[0] == "sh":
            return Output(self.unit.encode(), "", 0)
        verb = argv[len(PYTHON) + 1]
        self.verbs.append(verb)
        if self.log is None:
            return Output(b"", "python3: not found", 127)
        found = {
            "examine": {"fault": self.log[0], "mends": self.log[1], "runs_out": self.log == CUT_OFF},
            "removable": ["500 MiB of logs"],
        }
        return Output(json.dumps(found[verb]).encode(), "", 0)


def look(
    seen: NodeReport, log: tuple[str, bool] | None = WHOLE, free: int | None = PLENTY
) -> tuple[str, str, list[str]]:
    node = Node(log)
    found = examined(cast("Shell", node), seen, DATA_ROOT, free)
    return found.damage, found.full, node.verbs


@pytest.mark.parametrize(
    ("seen", "log", "damage"),
    [
        (FAILED, WRONG, "a wrong checksum"),
        (FAILED, CUT_OFF, "a length that runs past the end of the file"),
        (FAILED, WHOLE, ENGINE_SAYS),
        (FAILED, None, ENGINE_SAYS),
        (replace(FAILED, repaired="a wrong checksum"), WHOLE, ""),
        (replace(FAILED, detail="x509: certificate has expired"), WHOLE, ""),
        (replace(FAILED, detail="x509: certificate has expired"), None, ""),
        (DOWN, WRONG, "a wrong checksum"),
        (DOWN, CUT_OFF, ""),
        (DOWN, WHOLE, ""),
        (LOCKED, WRONG, "a wrong checksum"),
        (LOCKED, CUT_OFF, "a length that runs past the end of the file"),
        (replace(LOCKED, engine="26.1.5+dfsg1"), CUT_OFF, "a length that runs past the end of the file"),
        (replace(LOCKED, engine="28.5.2"), CUT_OFF, ""),
        (LOCKED, TORN, ""),
        (LEFT_OVER, WRONG, "a wrong checksum"),
        (LEFT_OVER, WHOLE, ""),
    ],
)
def test_a_damaged_log_is_one_that_its_engine_cannot_use(
    seen: NodeReport, log: tuple[str, bool] | None, damage: str
) -> None:
    assert look(seen, log)[:2] == (damage, "")


@pytest.mark.parametrize(
    ("engine", "damage"),
    [("inactive", WRONG[0]), ("failed", WRONG[0]), ("activating", WRONG[0]), ("active", ""), ("", "")],
)
def test_an_engine_that_hangs_may_live_whatever_its_log_looks_like(engine: str, damage: str) -> None:
    assert examined(cast("Shell", Node(WRONG, engine)), DOWN, DATA_ROOT, PLENTY).damage == damage


@pytest.mark.parametrize(("restarts", "age", "damage"), [("3", 5, WRONG[0]), ("3", 300, ""), ("0", 5, "")])
def test_an_engine_that_crashes_again_and_again_is_active_for_a_moment(restarts: str, age: float, damage: str) -> None:
    """Engine 20.10 does, over a log whose snapshot is lost."""
    node = cast("Shell", Node(WRONG, "active", restarts, age))
    assert examined(node, DOWN, DATA_ROOT, PLENTY).damage == damage


@pytest.mark.parametrize(("restarts", "damage"), [("0", ""), ("", ""), ("3", CUT_OFF[0])])
def test_a_last_write_that_was_cut_off_is_damage_if_the_engine_crashes_over_it(restarts: str, damage: str) -> None:
    """Engine 20.10 does, over a length that runs out of the file."""
    node = cast("Shell", Node(CUT_OFF, "activating", restarts))
    assert examined(node, DOWN, DATA_ROOT, PLENTY).damage == damage


@pytest.mark.parametrize(
    "seen",
    [
        UP,
        replace(UP, state=LocalState.PENDING),
        make.worker(A),
        make.empty(A),
        replace(LEFT_OVER, placed="a copy"),
    ],
    ids=["up", "electing", "a worker", "in no swarm", "restored"],
)
def test_nobody_elses_log_is_read(seen: NodeReport) -> None:
    assert look(seen, WRONG) == ("", "", [])


@pytest.mark.parametrize(
    "seen",
    [FAILED, DOWN, LOCKED, replace(UP, state=LocalState.PENDING), replace(UP, control=False)],
    ids=["error", "down", "locked", "pending", "stopped under load"],
)
def test_a_full_disk_is_the_cause_before_the_log_is(seen: NodeReport) -> None:
    damage, full, verbs = look(seen, WRONG, LEAST_BYTES - (2 << 20))
    assert (damage, verbs) == ("", ["removable"])
    assert full == "62 MiB are free, and Docker needs 64 MiB. What takes space: 500 MiB of logs"


def test_a_disk_that_has_space_again_is_still_the_cause_until_the_engine_is_restarted() -> None:
    assert look(replace(FAILED, detail=ENGINE_IS_FULL), WHOLE) == ("", "it has space again", [])


def test_a_disk_that_is_full_under_a_manager_that_works_is_not_told() -> None:
    assert look(replace(UP, control=True), WRONG, 0) == ("", "", [])


def test_where_the_free_space_is_unknown_the_log_is_looked_at() -> None:
    assert look(FAILED, WRONG, None)[0] == "a wrong checksum"


@pytest.mark.parametrize("torn", [b"", key_file(unlock_key())[:200]], ids=["empty", "cut"])
def test_a_log_whose_key_file_is_torn_gives_nothing_back(
    monkeypatch: pytest.MonkeyPatch, bucket: Any, torn: bytes
) -> None:
    of = make.settings()
    copy = Staged(PurePosixPath("/copy"), make.manifest(kind="safety"), "", locked_key=torn or b"ENCRYPTED PRIVATE KEY")
    monkeypatch.setattr(snapshot, "staged", lambda *_, **__: nullcontext(copy))
    report = replace(make.leaderless(of.managers[0]), damage="record 7 is torn")
    opening = partial(Escrow(of).opening, whose="manager-a")
    found = tried(Shell(of.managers[0], of.ssh), report, opening)
    assert found.position == UNREADABLE
    assert found.damage.startswith("the content is not a key file. Its raft log cannot be read")
