"""What the operator is shown, and the exit codes of the contract."""

import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from recovery import cli
from recovery.cli import show
from recovery.errors import StoreError
from recovery.planning.diagnosis import Kind, diagnose
from recovery.swarm.model import NodeReport
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import W1, W2, A, B, C, S, led

COPIES = [make.copy_of(make.manifest(node.name)) for node in S.managers]


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
]


@pytest.mark.parametrize(("reports", "code"), [row[1:] for row in CODES], ids=[row[0] for row in CODES])
def test_exit_codes(reports: list[NodeReport], code: int) -> None:
    assert status(reports).exit_code == code


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


def test_the_tree_shows_zones_nodes_and_what_is_wrong() -> None:
    console = Console(width=120, record=True, file=None)
    with console.capture() as shown:
        console.print(show.as_tree(status([led(A, unreachable=("manager-c",)), led(B), make.silent(C), *WORKERS])))
    text = shown.get()
    assert "minority lost" in text
    assert "zone c" in text
    assert "manager-c  10.77.3.13" in text
    assert "silent" in text


def test_a_warning_degrades_and_is_shown() -> None:
    well = list(make.healthy(S).reports)
    twin = [*well[:-1], replace(well[-1], node_id="id-worker-1")]
    seen = status(twin)
    assert seen.exit_code == show.DEGRADED
    assert show.as_json(seen)["warnings"] == list(seen.diagnosis.warnings)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(show.as_tree(seen))
    assert seen.diagnosis.warnings[-1] in " ".join(shown.get().split())


def test_a_swarm_is_not_called_absent_while_nobody_can_say_what_copies_there_are(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site is lost with its managers and its S3: the worst of losses, and no cluster that never was."""
    of = make.settings()
    monkeypatch.setattr(cli.cluster, "survey", lambda _: make.survey([make.gone(node) for node in of.nodes]))
    assert cli.cluster._look(of)[1].kind is Kind.ABSENT
    bucket.delete()
    assert cli.cluster._look(of)[1].kind is Kind.ALL_LOST
