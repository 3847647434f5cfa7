"""Every table at 80 columns: what it says is whole, and no line is longer than the terminal."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType
from syrupy.assertion import SnapshotAssertion
from typer.testing import CliRunner

from recovery import cli
from recovery.agent.state import State
from recovery.cli import agents
from recovery.cli import reports as commands_of_reports
from recovery.cli.show import cluster, copies, data, drills, pruning, reports, s3
from recovery.copies.copy import Copy
from recovery.copies.keeps import Keep
from recovery.copies.manifest import Manifest, Proof, Verdict
from recovery.copies.retention import Decision
from recovery.data.catalog import DataCopy
from recovery.data.manifest import DataManifest
from recovery.errors import AccessDenied, DamagedCopy, StoreError
from recovery.operations.agents import AgentStatus
from recovery.operations.drill import Drill
from recovery.planning.diagnosis import diagnose
from recovery.s3.probe import Capabilities, Capability, ProbeResult
from recovery.swarm.model import Reach
from tests.unit import factories as make

NARROW = 80
NOW = make.NOW + timedelta(hours=3)
OF = make.settings()
LONG = "manager-eu-central-1a-the-second"
FAULT = "two objects are not as the manifest says: the network ingress and the secret database-password"


def copy_of(manager: str, minutes: int, **values: Any) -> tuple[Copy, Manifest]:
    made = replace(make.manifest(manager), taken=make.NOW - timedelta(minutes=minutes), **values)
    return replace(make.copy_of(made), sites=("main", "second")), made


FAILED = Proof(Verdict.FAILED, make.NOW, FAULT, engine="20.10.24", version_index=1234)
COPIES: list[tuple[Copy, Manifest | DamagedCopy]] = [
    copy_of(LONG, 10),
    copy_of("manager-b", 20, proof=FAILED),
    (
        replace(copy_of("manager-a", 30)[0], sites=("main",)),
        DamagedCopy("reading it", "its manifest is not whole", remedy="", code="copy-damaged"),
    ),
]
MARKS = {COPIES[0][0]: Keep("before the upgrade of the engines to 28.5", "ops@desk", make.NOW)}
DRILLS = {COPIES[0][0]: make.NOW + timedelta(hours=1)}


def data_copy(owner: str, *, changed: bool) -> tuple[DataCopy, DataManifest]:
    name = f"data-{owner}-20260102T030405000000Z"
    made = DataManifest(
        name, f"shop_{owner}", "postgres:16", "worker-1", 1, ("pg_dump",), None, "cluster-one", make.NOW, 1.5, changed,
        123456, "0" * 64, 12345678, "0" * 64, ("age1",),
    )  # fmt: skip
    return DataCopy(f"requorum/lab/data/{owner}/{name}.age", owner, make.NOW, ("main", "second")), made


def standing(**values: Any) -> AgentStatus:
    at = make.NOW.timestamp()
    state = State(proven=at, stored=at, seconds=4.2, **values)
    return AgentStatus("digest", timer=True, watch=True, waiting=2, state=state, now=NOW.timestamp())


def report(name: str, lost: list[str], survivor: str) -> Mapping[str, Any]:
    return {
        "name": name,
        "diagnosis": "quorum lost" if survivor else "all lost",
        "lost": lost,
        "survivor": survivor,
        "rpo": {"entries": 12, "seconds": 67},
        "rto": {"provenSeconds": 14.9},
        "verdict": "proven",
        "by": "somebody@a-machine-with-a-long-name",
    }


def status() -> cluster.Status:
    first, second, third, *workers = make.healthy(OF).reports
    away = [
        replace(second, reach=Reach.NOT_PINNED, scan="ssh-keyscan -p 22 10.77.2.12", members=()),
        replace(third, reach=Reach.DENIED, members=()),
    ]
    seen = make.survey([first, *away, *workers])
    found = {copy.manager: copy for copy, _ in reversed(COPIES) if copy.manager != LONG}
    error = StoreError("listing the copies", "S3 cannot be reached", remedy="start it")
    return cluster.status(OF, seen, diagnose(seen, make.CLUSTER, cluster="lab", copies=True), found, error)


def agent_table() -> RenderableType:
    first, second, third = OF.managers
    denied = AccessDenied("connecting", "the machine does not accept the key", remedy="add it", code="access-denied")
    found = [(first, standing()), (second, standing(failures=11)), (third, denied)]
    faults = {first.name: "", second.name: f"{FAULT}. next: journalctl -u requorum-copy -n 20", third.name: denied.why}
    return agents._table(found, faults, NOW.timestamp())


DECISIONS = [
    Decision(
        COPIES[0][0], half=False, keep=True, reasons=("the newest proven copy of its manager", "hourly: 2026-01-02 03")
    ),
    Decision(COPIES[1][0], half=False, keep=False, reasons=("no rule keeps it",)),
]
UNRULED = [
    Decision(copy, half=False, keep=True, reasons=("requorum:backup.retention is not set",)) for copy, _ in COPIES
]
OFFERS = (
    Capability("reachable", ProbeResult.YES, "", "copies"),
    Capability("Object Lock", ProbeResult.NO, "the bucket has no Object Lock configuration", "requorum:backup.lock"),
)
PROVEN = Proof(Verdict.PROVEN, make.NOW, engine="20.10.24", version_index=386)
REPORTS = [
    report("20260102T030405000000Z", ["manager-a", "manager-b", "manager-c"], ""),
    report("20260101T030405000000Z", ["manager-a"], "manager-b"),
]


def tables(*, wide: bool) -> Mapping[str, RenderableType]:
    drilled = [Drill(COPIES[0][0], "worker-1", PROVEN, 5.4, 431), Drill(COPIES[1][0], "manager-b", FAILED, 61.0, 7200)]
    return {
        "copies": copies.copies_table(COPIES, NOW, MARKS, DRILLS, wide=wide),
        "copies at two sites": copies.copies_table(COPIES, NOW, MARKS, DRILLS, sites=True, wide=wide),
        "drills": drills.drills_table(drilled, wide=wide),
        "prune": pruning.prune_table(DECISIONS, NOW, "manager", wide=wide),
        "prune without rules": pruning.prune_table(UNRULED, NOW, "manager", wide=wide),
        "data": data.table(
            [data_copy("orders", changed=True), data_copy("sessions", changed=False)], NOW, sites=True, wide=wide
        ),
        "reports": reports.table(REPORTS, wide=wide),
    }


NARROW_TABLES = {
    **tables(wide=False),
    "status": cluster.as_table(status()),
    "agents": agent_table(),
    "s3": s3.table(Capabilities("main", "s3://copies at http://127.0.0.1:9000", OFFERS)),
}


def shown(table: RenderableType, width: int) -> str:
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as text:
        console.print(table)
    return "\n".join(line.rstrip() for line in text.get().splitlines())


@pytest.mark.parametrize("name", NARROW_TABLES)
def test_a_table_holds_at_80_columns(name: str, snapshot: SnapshotAssertion) -> None:
    text = shown(NARROW_TABLES[name], NARROW)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= NARROW
    assert text == snapshot


@pytest.mark.parametrize("name", tables(wide=True))
def test_a_wide_table_has_whole_names(name: str, snapshot: SnapshotAssertion) -> None:
    text = shown(tables(wide=True)[name], 250)
    if name not in ("reports", "data"):
        assert all(copy.name in text for copy, _ in COPIES[:2])
    assert text == snapshot


@pytest.mark.parametrize(("terminal", "shown_as"), [(True, "Cluster lab"), (False, "# Cluster lab")])
def test_a_report_is_laid_out_on_a_terminal_and_is_markdown_elsewhere(
    terminal: bool, shown_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = "# Cluster lab\n\n| step | node |\n|---|---|\n| restore | manager-a |\n"
    console = Console(force_terminal=terminal, no_color=True, width=80)
    monkeypatch.setattr(commands_of_reports, "out", console)
    monkeypatch.setattr(commands_of_reports, "as_markdown", lambda _: page)
    monkeypatch.setattr(commands_of_reports.reports, "load", lambda *_: {})
    monkeypatch.setattr("recovery.cli.console._settings", lambda *_: make.settings())
    found = CliRunner().invoke(cli.app, ["reports", "--newest"]).stdout
    assert shown_as in found
    assert ("|---|" in found) is not terminal
    assert ("# Cluster" in found) is not terminal
