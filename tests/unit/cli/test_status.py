"""What the operator is shown, and the exit codes of the contract."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from recovery import cli
from recovery.cli import backup as backup_command
from recovery.cli import cluster as plan_commands
from recovery.cli import status as status_commands
from recovery.cli.show import cluster as show
from recovery.cli.show.contract import DEGRADED
from recovery.cli.show.doctor import doctor_code
from recovery.cluster import Cluster
from recovery.errors import Refused, StoreError
from recovery.operations.backup import BackupResult
from recovery.planning import changes
from recovery.planning.conditions import Condition, State
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.doctor import examine
from recovery.planning.guidance import guide
from recovery.planning.plan import Plan, Refusal
from recovery.planning.readiness import Opener, Stock, judge
from recovery.swarm.entries import Member
from recovery.swarm.model import NodeReport, Reach
from recovery.swarm.on_node import OnNode
from tests.unit import factories as make
from tests.unit.cluster import assessment
from tests.unit.planning.test_diagnosis import W1, W2, A, B, C, S, led

COPIES = {node.name: make.copy_of(make.manifest(node.name)) for node in S.managers}


def status(reports: list[NodeReport], *, error: StoreError | None = None) -> show.Status:
    seen = make.survey(reports)
    return show.status(S, seen, diagnose(seen, make.CLUSTER, cluster="lab", copies=True), COPIES, error)


WORKERS = [make.worker(W1), make.worker(W2)]
CODES: list[tuple[str, list[NodeReport], int]] = [
    ("all well", list(make.healthy(S).reports), 0),
    ("one manager gone", [led(A, unreachable=("manager-c",)), led(B), make.gone(C), *WORKERS], 3),
    ("a worker down", [led(n, unreachable=("worker-1",)) for n in (A, B, C)] + [make.gone(W1), make.worker(W2)], 3),
    ("no leader", [make.leaderless(A), make.gone(B), make.gone(C), *WORKERS], 4),
    ("all gone", [make.gone(n) for n in S.managers] + WORKERS, 4),
    ("all kept from us", [NodeReport(n, Reach.LIMITED, "it drops us") for n in S.managers] + WORKERS, 5),
    ("two kept from us, no leader", [make.leaderless(A), *(NodeReport(n, Reach.SLOW) for n in (B, C))], 5),
    ("two gone, one kept from us", [make.gone(A), make.gone(B), NodeReport(C, Reach.DENIED)], 4),
    ("one led, the others kept from us", [led(A), *(NodeReport(n, Reach.DENIED) for n in (B, C)), *WORKERS], 3),
]


@pytest.mark.parametrize(("reports", "code"), [row[1:] for row in CODES], ids=[row[0] for row in CODES])
def test_exit_codes(reports: list[NodeReport], code: int) -> None:
    assert status(reports).exit_code == code


@pytest.mark.parametrize(("reports", "code"), [row[1:] for row in CODES], ids=[row[0] for row in CODES])
def test_whether_there_is_a_quorum_is_said_only_where_it_is_known(reports: list[NodeReport], code: int) -> None:
    assert show.as_json(status(reports))["quorum"] is {0: True, 3: True, 4: False, 5: None}[code]
    seen = make.survey(reports)
    found = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    assert doctor_code(found, guide(S, seen, found)) == code
    for case in examine(S, seen, found) if code == 5 else ():
        assert not [one for one in case.proposals if "fence" in one.command and not one.refused]


def test_unknown_copies_are_an_error_unless_something_worse_is() -> None:
    down = StoreError("listing", "it cannot be reached", remedy="start it")
    assert status(list(make.healthy(S).reports), error=down).exit_code == 1
    assert status([make.gone(n) for n in S.managers] + WORKERS, error=down).exit_code == 4


def test_the_json_holds_every_node_and_is_versioned() -> None:
    document = json.loads(json.dumps(show.as_json(status(list(make.healthy(S).reports)))))
    assert document["version"] == 1
    assert [node["name"] for node in document["nodes"]] == [node.name for node in S.nodes]
    leader = document["nodes"][0]
    assert (leader["leader"], leader["reachability"], leader["state"], leader["lastCopyAge"]) == (
        True,
        "reachable",
        "ready",
        60,
    )


def test_the_table_shows_zones_nodes_and_what_is_wrong() -> None:
    console = Console(width=120, record=True, file=None)
    with console.capture() as shown:
        console.print(show.as_table(status([led(A, unreachable=("manager-c",)), led(B), make.silent(C), *WORKERS])))
    text = shown.get()
    assert "2 of 3 managers" in text
    assert "next: docker start manager-c" in text
    (line,) = (line for line in text.splitlines() if line.startswith("manager-c"))
    assert line.split()[:4] == ["manager-c", "c", "manager", "10.77.3.13"]
    assert "silent" in text


@pytest.mark.parametrize(
    ("columns", "headings"),
    [
        (80, "node zone role address swarm last copy remarks"),
        (60, "node zone role swarm last copy remarks"),
        (50, "node role swarm last copy remarks"),
        (42, "node swarm last copy remarks"),
    ],
)
def test_a_narrow_terminal_leaves_out_columns_and_cuts_no_name(columns: int, headings: str) -> None:
    console = Console(width=columns)
    with console.capture() as shown:
        console.print(show.as_table(status([led(A, unreachable=("manager-c",)), led(B), make.silent(C), *WORKERS])))
    lines = [" ".join(line.split()) for line in shown.get().splitlines()]
    assert headings in lines
    assert [name for name in S.nodes if not any(line.startswith(f"{name.name} ") for line in lines)] == []
    assert any(line.startswith("manager-c") and " down " in line and "60 s ago" in line for line in lines)


def shown(found: show.Status) -> str:
    console = Console(width=200, record=True, file=None)
    with console.capture() as text:
        console.print(show.as_table(found))
    return text.get()


def test_nodes_that_the_stack_file_does_not_name_are_listed_and_nothing_is_wrong_with_them() -> None:
    other = Member("id-x", "worker-x", "10.77.9.9", "worker", "pause", ready=True)
    found = status([replace(r, members=(*r.members, other)) if r.members else r for r in make.healthy(S).reports])
    assert "not named: worker-x at 10.77.9.9 (worker, ready), left alone" in shown(found)
    (told,) = show.as_json(found)["others"]
    assert (told["name"], told["address"], told["availability"]) == ("worker-x", "10.77.9.9", "pause")
    assert found.exit_code == 0


def test_what_differs_on_a_machine_is_a_line() -> None:
    first, *others = make.healthy(S).reports
    seen = make.survey([replace(first, on_node=OnNode()), *others])
    diagnosis = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    found = show.status(S, seen, diagnosis, COPIES, None, changes.find(S, seen, Plan(Kind.HEALTHY), {}))
    line = "drift: manager-a: the firewall's rules are missing (IPv4, IPv6). next: pulumi up"
    assert shown(found).count(line) == shown(found).count("drift:") == 1
    assert [bool(node["drift"]) for node in show.as_json(found)["nodes"]] == [True, *[False] * (len(S.nodes) - 1)]


def test_a_warning_degrades_and_is_shown() -> None:
    well = list(make.healthy(S).reports)
    twin = [*well[:-1], replace(well[-1], node_id="id-worker-1")]
    seen = status(twin)
    assert seen.exit_code == DEGRADED
    assert show.as_json(seen)["warnings"] == list(seen.diagnosis.warnings)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(show.as_table(seen))
    assert seen.diagnosis.warnings[-1] in " ".join(shown.get().split())


def test_a_swarm_is_not_called_absent_while_nobody_can_say_what_copies_there_are(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site is lost with its managers and its S3: the worst of losses, and no cluster that never was."""
    of = make.settings()
    monkeypatch.setattr(status_commands, "survey", lambda _: make.survey([make.gone(node) for node in of.nodes]))
    assert status_commands.look(Cluster(of))[1].kind is Kind.ABSENT
    bucket.delete()
    assert status_commands.look(Cluster(of))[1].kind is Kind.ALL_LOST


# Errors in JSON


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(cli.console, "_settings", lambda *_: S)
    return lambda *words: CliRunner().invoke(cli.app, words)


REFUSED = Refused("backing up", "no manager reports a leader", remedy="requorum status", code="no-leader")
ERROR = {
    "code": "no-leader",
    "operation": "backing up",
    "why": "no manager reports a leader",
    "next": "requorum status",
    "node": None,
}


def test_a_command_that_ends_with_an_error_prints_that_as_its_document(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Cluster) -> Any:
        raise REFUSED

    monkeypatch.setattr(plan_commands, "assess", refuse)
    for words, document in ((["plan", "--json"], {"version": 1, "error": ERROR}), (["plan"], None)):
        result = run(*words)
        assert result.exit_code == 1
        assert (json.loads(result.stdout) if document else result.stdout) == (document or "")
        assert "code: no-leader" in result.stderr


def test_a_refused_plan_is_one_document_with_the_error(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = Refusal("all managers are lost", "requorum copies list", code="no-copy")
    seen = assessment(S, Kind.ALL_LOST)
    monkeypatch.setattr(plan_commands, "assess", lambda _: replace(seen, plan=Plan(Kind.ALL_LOST, refusal=refusal)))
    result = run("plan", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (document["error"]["code"], document["refusal"]["code"]) == ("no-copy", "no-copy")
    assert "code: no-copy" in result.stderr
    monkeypatch.setattr(plan_commands, "assess", lambda _: assessment(S))
    assert json.loads(run("plan", "--json").stdout)["error"] is None


def test_managers_without_a_copy_are_in_the_document(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [BackupResult("manager-a", error=REFUSED), BackupResult("manager-b", error=REFUSED)]
    monkeypatch.setattr(backup_command, "take_copies", lambda *_, **__: iter(outcomes))
    result = run("backup", "--json")
    assert result.exit_code == 1
    failed = json.loads(result.stdout)["failed"]
    assert [(one["manager"], one["error"]["code"]) for one in failed] == [
        ("manager-a", "no-leader"),
        ("manager-b", "no-leader"),
        ("manager-c", "declared-lost"),
    ]


# Conditions of a recovery


def test_copies_that_nobody_could_list_are_unknown_and_not_missing() -> None:
    seen = make.healthy(S)
    diagnosis = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    down = StoreError("listing", "it cannot be reached", remedy="start it")
    stock = Stock(Opener("backup.identityFile", fault="no file"), Opener("escrow.identityFile"), error=down)
    conditions = judge(S, seen, stock, {}, make.NOW)
    text = shown(show.status(S, seen, diagnosis, {}, down, conditions=conditions))
    assert len([line for line in text.splitlines() if line.startswith("manager-") and " unknown " in line]) == len(
        S.managers
    )
    assert "no copy" not in text
    assert text.count("UNKNOWN ") == len([one for one in conditions if one.state is State.UNKNOWN])
    assert "FAILED   identity: no file" in text


def test_what_only_this_machine_lacks_is_no_fault_for_a_monitor() -> None:
    seen = make.healthy(S)
    diagnosis = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    here, elsewhere = (Condition(f"{name}", State.FAILED, "", here=name == "here") for name in ("here", "elsewhere"))
    for conditions, codes in (((here,), (3, 0)), ((here, elsewhere), (3, 3)), ((), (0, 0))):
        found = show.status(S, seen, diagnosis, COPIES, None, conditions=conditions)
        assert (found.exit_code, found.exit_code_anywhere) == codes
