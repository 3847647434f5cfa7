"""What the pages are tested with: a status and reports as the product makes them, through JSON and back."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from recovery.cli.show import cluster as show
from recovery.copies.manifest import Proof, Verdict
from recovery.operations import report
from recovery.operations.month import Records, summary
from recovery.operations.report import RecoveryReport
from recovery.planning.checks import Check, Result
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.plan import Plan
from recovery.planning.readiness import AgentFault, Opener, Stock, judge
from recovery.settings import Settings, parse
from recovery.steps.entry import BEGUN, DONE, PLAN, Entry
from recovery.swarm.history import History
from recovery.swarm.model import NodeReport
from tests.unit import factories as make

ZONES = ["eu-1a", "eu-1b", "eu-1c"]
WORKERS = [{"name": f"worker-{n}", "address": f"10.77.{n % 3 + 1}.{40 + n}", "zone": ZONES[n % 3]} for n in range(1, 6)]
S = make.settings(zones=ZONES, workers=WORKERS, cluster="production")
A, B, C = S.managers
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e\"'><img src=x onerror=alert(2)> {{ 7*7 }}"
AGES = (timedelta(minutes=4), timedelta(minutes=26), timedelta(minutes=49))


def _copy(name: str, ago: timedelta) -> Any:
    manifest = make.manifest(name, ago=ago, proof=Proof(Verdict.PROVEN, make.NOW - ago))
    return replace(make.copy_of(manifest), sites=("main",)), manifest


def document(
    reports: Sequence[NodeReport],
    *,
    copies: bool = True,
    drift: str = "",
    of: Settings = S,
    ages: Sequence[timedelta] = AGES,
    known: str | None = make.CLUSTER,
) -> dict[str, Any]:
    """The JSON of a status."""
    seen = make.survey(reports)
    found = {node.name: [_copy(node.name, ago)] for node, ago in zip(of.managers, ages, strict=False)} if copies else {}
    opener = Opener("backup.identityFile", "/home/ops/identity", "", frozenset(of.backup.recipients))
    stock = Stock(opener, opener, copies=found)
    agents: dict[str, AgentFault | None] = {}
    met = judge(of, seen, stock, agents, make.NOW) if seen.leader else ()
    diagnosis = diagnose(seen, known, cluster=of.cluster, copies=copies)
    newest = {name: read[0][0] for name, read in found.items()}
    made = show.status(of, seen, diagnosis, newest, None, conditions=met, proven=stock.proven)
    nodes = tuple(replace(node, drift=drift) for node in made.nodes)
    return json.loads(json.dumps(show.as_json(replace(made, nodes=nodes))))


def healthy() -> dict[str, Any]:
    led = [make.manager(node, S.nodes, leader=A.name) for node in S.managers]
    return document([*led, *map(make.worker, S.workers)])


def silent() -> dict[str, Any]:
    led = [make.manager(node, S.nodes, leader=A.name, unreachable=(C.name,)) for node in (A, B)]
    return document([*led, make.silent(C), *map(make.worker, S.workers)])


def old() -> dict[str, Any]:
    """Healthy, but the newest copies are older than the limit."""
    led = [make.manager(node, S.nodes, leader=A.name) for node in S.managers]
    return document([*led, *map(make.worker, S.workers)], ages=[timedelta(days=9)] * 3)


def absent() -> dict[str, Any]:
    """Before the first update."""
    return document([*map(make.empty, S.nodes)], copies=False, known=None)


def many() -> dict[str, Any]:
    """Seven managers and 29 workers, of which one is silent."""
    of = _settings(7, "manager", 29, "worker", "eu-1")
    last, leader = of.workers[-1], of.managers[0].name
    led = [make.manager(node, of.nodes, leader=leader, unreachable=(last.name,)) for node in of.managers]
    return document([*led, *map(make.worker, of.workers[:-1]), make.silent(last)], of=of, ages=AGES * 3)


def long_names() -> dict[str, Any]:
    """A total loss of nodes whose names are as long as they can be, and differ at their ends."""
    of = _settings(3, "m" * 55, 3, "w" * 55, "z" * 59)
    return document([*map(make.gone, of.managers), *map(make.worker, of.workers)], of=of)


def _settings(managers: int, manager: str, workers: int, worker: str, zone: str) -> Settings:
    """Nodes of those names, with numbers, over three zones."""
    zones = [f"{zone}{letter}" for letter in "abc"]

    def nodes(count: int, name: str, net: int) -> list[dict[str, str]]:
        return [{"name": f"{name}-{n}", "address": f"10.77.{net}.{10 + n}", "zone": zones[n % 3]} for n in range(count)]

    named = {"managers": nodes(managers, manager, 1), "workers": nodes(workers, worker, 2)}
    return parse(make.raw(zones=zones, cluster="production", **named))


def total_loss() -> dict[str, Any]:
    return document([*map(make.gone, S.managers), *map(make.worker, S.workers)])


def at(seconds: float, action: str, node: str, took: float | None = 1, outcome: str = DONE, **facts: Any) -> Entry:
    return Entry(action, node, make.NOW + timedelta(seconds=seconds), "ann@desk", outcome, took, facts=facts)


def _plan(seconds: float, kind: Kind, **changes: Any) -> Entry:
    seen = make.survey([*map(make.gone, S.managers), *map(make.worker, S.workers)])
    found = diagnose(seen, make.CLUSTER, cluster="production", copies=True)
    known = {"consent": "by its ID", "leader_seen": {"worker-1": make.NOW - timedelta(seconds=95)}}
    return at(
        seconds, PLAN, "production", None, BEGUN, **report.opening(Plan(kind, **changes), found, {}, "pulumi", **known)
    )


def recovery(*further: Entry) -> dict[str, Any]:
    """The report of a total loss: three managers back from one copy."""
    copy = make.copy_of(make.manifest(A.name, ago=timedelta(minutes=5))).name
    losses = ("changes of the swarm since 2026-01-02 02:59:05 UTC are lost",)
    entries = (
        _plan(0, Kind.ALL_LOST, copy=copy, losses=losses),
        *(at(1 + n / 10, "rebuild", node.name, 2.5) for n, node in enumerate((A, B, C))),
        at(4, "restore", A.name, 5.2),
        *(at(9.3 + n / 5, "redirect", f"worker-{n}", 1.1) for n in range(1, 6)),
        at(10.1, "join", B.name, 3.4),
        at(13.6, "join", C.name, 3.1),
        at(17, "save", "managers", 2.2),
        *further,
    )
    checks = (
        Check("members", "swarm", Result.OK, "3 managers vote, 5 workers are Ready"),
        Check("inventory", "swarm", Result.OK, "all 214 objects of the copy are there"),
        *(Check("containers", f"worker-{n}", Result.OK, "the same containers run") for n in range(1, 6)),
        Check("gossip", "worker-4", Result.WARNING, "its port 7946 was closed, so its engine was restarted"),
    )
    end = max(entry.begun for entry in entries) + timedelta(seconds=3)
    proof = Entry("prove", "swarm", end, "ann@desk", DONE, 4.8)
    told = RecoveryReport("production", make.CLUSTER, A.name, entries, proof, "pulumi", checks, ("orders",), S.nodes)
    return json.loads(json.dumps(report.as_json(told, "20260102T030429000000Z")))


def resumed() -> dict[str, Any]:
    """A recovery that was interrupted, and went on two hours later."""
    cut = at(24, "join", B.name, None, BEGUN)
    failed = replace(at(7300, "join", B.name, 6.5, "failed"), error="its engine did not answer within 90 s")
    return recovery(cut, _plan(7290, Kind.MINORITY_LOST), failed, at(7307, "join", B.name, 4))


def founded() -> dict[str, Any]:
    """The report of a swarm that is new."""
    seen = make.survey([*map(make.empty, S.nodes)])
    found = diagnose(seen, None, cluster="production", copies=False)
    plan = at(0, PLAN, "production", None, BEGUN, **report.opening(Plan(Kind.ABSENT), found, {}, "pulumi"))
    steps = (at(1, "found", A.name, 2), at(3, "join", B.name, 2), at(5, "join", C.name, 2))
    proof = Entry("prove", "swarm", make.NOW + timedelta(seconds=8), "ann@desk", DONE, 4.8)
    told = RecoveryReport("production", make.CLUSTER, A.name, (plan, *steps), proof, "pulumi", (), (), S.nodes)
    return json.loads(json.dumps(report.as_json(told, "20260102T030429000000Z")))


def in_many_runs() -> dict[str, Any]:
    """A recovery of a day: a run every five hours, of which only the last was not interrupted."""
    runs = (
        (
            _plan(hours * 3600.0, Kind.ALL_LOST),
            at(hours * 3600.0 + 1, "restore", A.name, None, BEGUN),
            replace(at(hours * 3600.0 + 4, "join", B.name, 3, "failed"), error="no route to host"),
        )
        for hours in range(5, 25, 5)
    )
    return recovery(*(entry for run in runs for entry in run), at(25 * 3600.0, "join", B.name, 3))


def month(*, quiet: bool = False) -> dict[str, Any]:
    """A month: nothing is known of it, or it had an outage that nobody saw the end of, a recovery, and a failed drill."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    start, hour = int(begun.timestamp()), 3600
    if quiet:
        return summary(
            Records("production", {}, {node.name: () for node in S.managers}), "2026-01", begun + timedelta(days=40)
        )
    hours = tuple(start + n * hour for n in range(700))
    seen = History(((start + 2 * hour, start + 680 * hour),), ((start + 50 * hour, start + 50 * hour + 95),), hours)
    drills = tuple(
        {
            "manager": node.name,
            "at": (begun + timedelta(days=9)).isoformat(),
            "copy": None,
            "verdict": verdict,
            "detail": detail,
            "recoverySeconds": 2.5,
        }
        for node, verdict, detail in zip(
            S.managers, ("proven", "failed", "proven"), ("", "its log is torn", ""), strict=True
        )
    )
    told = {node.name: seen if node is not C else History() for node in S.managers}
    known = Records(
        "production", told, {C.name: ()}, drills, (recovery(),), ("report 20260105T000000000000Z is left out",)
    )
    return json.loads(json.dumps(summary(known, "2026-01", begun + timedelta(days=40))))


def hostile(value: Any) -> Any:
    """A document in which every text that a node, S3 or an operator may have written is an attack."""
    kept = {
        "standing",
        "begun",
        "ended",
        "taken",
        "began",
        "notBefore",
        "notAfter",
        "at",
        "role",
        "quorum",
        "day",
        "newest",
    }
    if isinstance(value, dict):
        return {key: one if key in kept else hostile(one) for key, one in value.items()}
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return HOSTILE if isinstance(value, str) else value


PAGES = {"healthy": healthy, "silent": silent, "total loss": total_loss, "old": old, "absent": absent}
LARGE = {"many": many, "long names": long_names}
MONTHS = {"month": month, "quiet month": lambda: month(quiet=True)}
REPORTS = {"recovery": recovery, "resumed": resumed, "founded": founded, "in many runs": in_many_runs}
