"""Whether a recovery from here would work: a table over everything that may be wrong, and that nothing of it is green."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from recovery.copies.manifest import Proof, Verdict
from recovery.errors import DamagedCopy, StoreError
from recovery.planning.conditions import Condition, State, unmet
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.guidance import guide
from recovery.planning.readiness import (
    AT_RISK,
    NO_RECOVERY,
    NOT_KNOWN,
    AgentFault,
    Agents,
    Found,
    Opener,
    Stock,
    completed,
    judge,
    of_swarm,
)
from recovery.settings import Settings
from recovery.swarm.found import SwarmFacts
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport
from tests.unit import factories as make

S = make.settings()
NAMES = [node.name for node in S.managers]
AGENTS = make.settings(agent={})
LOCKED = make.settings(swarm={"autolock": True}, escrow={"recipients": S.backup.recipients})
TWO = make.settings(backup={**make.RAW["backup"], "second": {"bucket": "second"}})
OURS, OTHER = str(make.IDENTITY.to_public()), "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PROVEN, FAILED = Proof(Verdict.PROVEN, make.NOW), Proof(Verdict.FAILED, make.NOW, "its log is torn")
DOWN = StoreError("listing s3://copies", "S3 cannot be reached", remedy="start the server")
HERE = Opener("backup.identityFile", "/id", public=frozenset({OURS}))
KEYS = Opener("escrow.identityFile", "/id", public=frozenset({OURS}))
ABSENT = replace(HERE, fault="/id is not on this machine", public=frozenset())
WRONG = replace(HERE, public=frozenset({OTHER}))


def one(name: str, *, sites: tuple[str, ...] = ("main", "second"), **changes: Any) -> Found:
    made = make.manifest(name, **{"proof": PROVEN, **changes})
    return replace(make.copy_of(made), sites=sites), made


def torn(name: str) -> Found:
    return one(name)[0], DamagedCopy("reading", "its object has 4 bytes", remedy="")


def good(**changes: Any) -> dict[str, list[Found]]:
    return {name: [one(name, **changes)] for name in NAMES}


def stock(copies: Mapping[str, list[Found]] | None = None, **changes: Any) -> Stock:
    drills = dict.fromkeys(NAMES, PROVEN)
    values = {"identity": HERE, "escrow": KEYS, "copies": good() if copies is None else copies, "drills": drills}
    return Stock(**{**values, **changes})


LACKING = {name: found for name, found in good().items() if name != "manager-b"}
LOCK = good(autolock=True, key_fingerprint="f1")
FAULT = AgentFault("writing to s3://copies: AccessDenied", "set requorum:agent.credentialsFile")
ALL_WELL: list[tuple[str, Settings, Stock, Agents]] = [
    ("all well", S, stock(), {}),
    ("a copy at the limit", S, stock(good(ago=26 * HOUR)), {}),
    ("an older one is proven", S, stock({n: [one(n, proof=FAILED), one(n, ago=HOUR)] for n in NAMES}), {}),
    ("not drilled yet", S, stock(drills={}, first=dict.fromkeys(NAMES, make.NOW - DAY)), {}),
    ("agents", AGENTS, stock(), dict.fromkeys(NAMES)),
    ("autolock", LOCKED, stock(LOCK, keys={"f1": True}), {}),
    ("two sites", TWO, stock(), {}),
]
CASES: list[tuple[str, Settings, Stock, Agents, State, str, str]] = [
    ("no copy", S, stock({}), {}, State.FAILED, NO_RECOVERY, "requorum copies take"),
    ("no copy of one manager", S, stock(LACKING), {}, State.FAILED, AT_RISK, "requorum copies take"),
    ("copies too old", S, stock(good(ago=27 * HOUR)), {}, State.FAILED, AT_RISK, "requorum copies take"),
    ("copies failed", S, stock(good(proof=FAILED)), {}, State.FAILED, NO_RECOVERY, "requorum copies take"),
    ("copies not proven", S, stock(good(proof=None)), {}, State.FAILED, AT_RISK, "requorum copies take"),
    (
        "a damaged copy",
        S,
        stock({**good(), "manager-a": [torn("manager-a")]}),
        {},
        State.FAILED,
        AT_RISK,
        "requorum copies take",
    ),
    ("all damaged", S, stock({n: [torn(n)] for n in NAMES}), {}, State.FAILED, NO_RECOVERY, "requorum copies take"),
    (
        "all damaged, more not read",
        S,
        stock({n: [torn(n)] for n in NAMES}, further=True),
        {},
        State.FAILED,
        AT_RISK,
        "requorum copies take",
    ),
    ("safety copies only", S, stock(good(kind="safety")), {}, State.FAILED, NO_RECOVERY, "requorum copies take"),
    ("no identity", S, stock(identity=ABSENT), {}, State.FAILED, NO_RECOVERY, "set requorum:backup.identityFile"),
    ("wrong identity", S, stock(identity=WRONG), {}, State.FAILED, NO_RECOVERY, "set requorum:backup.identityFile"),
    ("S3 down", S, stock(error=DOWN), {}, State.UNKNOWN, NOT_KNOWN, "start the server"),
    (
        "S3 down, no identity",
        S,
        stock(error=DOWN, identity=ABSENT),
        {},
        State.FAILED,
        NO_RECOVERY,
        "set requorum:backup.identityFile",
    ),
    ("no unlock key", LOCKED, stock(LOCK), {}, State.FAILED, NO_RECOVERY, "requorum copies take"),
    (
        "unlock key not opened",
        LOCKED,
        stock(LOCK, keys={"f1": False}),
        {},
        State.FAILED,
        NO_RECOVERY,
        "set requorum:escrow.identityFile",
    ),
    (
        "no identity of the escrow",
        LOCKED,
        stock(LOCK, keys={"f1": False}, escrow=replace(KEYS, fault="/id is not on this machine")),
        {},
        State.FAILED,
        NO_RECOVERY,
        "set requorum:escrow.identityFile",
    ),
    ("no escrow", S, stock(LOCK), {}, State.FAILED, NO_RECOVERY, "set requorum:escrow.recipients"),
    ("second site down", TWO, stock(skipped={"second": "no answer"}), {}, State.FAILED, AT_RISK, "start s3://second"),
    ("second site lacks", TWO, stock(good(sites=("main",))), {}, State.FAILED, AT_RISK, "requorum copies take"),
    (
        "an agent fails",
        AGENTS,
        stock(),
        {**dict.fromkeys(NAMES), "manager-b": FAULT},
        State.FAILED,
        AT_RISK,
        "set requorum:agent.credentialsFile",
    ),
    ("all agents fail", AGENTS, stock(), dict.fromkeys(NAMES, FAULT), State.FAILED, AT_RISK, "set requorum:agent"),
    (
        "an agent is not seen",
        AGENTS,
        stock(),
        {**dict.fromkeys(NAMES), "manager-b": replace(FAULT, known=False)},
        State.UNKNOWN,
        NOT_KNOWN,
        "set requorum:agent.credentialsFile",
    ),
    (
        "a drill failed",
        S,
        stock(drills={**dict.fromkeys(NAMES, PROVEN), "manager-c": FAILED}),
        {},
        State.FAILED,
        AT_RISK,
        "requorum copies take, then: requorum copies drill",
    ),
    (
        "drill overdue",
        S,
        stock(drills=dict.fromkeys(NAMES, replace(PROVEN, at=make.NOW - 9 * DAY))),
        {},
        State.FAILED,
        AT_RISK,
        "requorum copies drill",
    ),
    (
        "never drilled",
        S,
        stock(drills={}, first=dict.fromkeys(NAMES, make.NOW - 9 * DAY)),
        {},
        State.FAILED,
        AT_RISK,
        "requorum copies drill",
    ),
]


def judged(of: Settings, has: Stock, agents: Agents) -> tuple[Condition, ...]:
    return judge(of, make.healthy(of), has, agents, make.NOW)


@pytest.mark.parametrize(("of", "has", "agents"), [row[1:] for row in ALL_WELL], ids=[row[0] for row in ALL_WELL])
def test_all_is_well(of: Settings, has: Stock, agents: Agents, snapshot: SnapshotAssertion) -> None:
    found = judged(of, has, agents)
    assert not unmet(found)
    assert not [one for one in found if one.short or one.remedy]
    assert [one.line for one in found] == snapshot


@pytest.mark.parametrize(
    ("of", "has", "agents", "state", "meaning", "command"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_each_fault_is_told_and_has_a_next_command(
    of: Settings, has: Stock, agents: Agents, state: State, meaning: str, command: str, snapshot: SnapshotAssertion
) -> None:
    conditions = judged(of, has, agents)
    faults = unmet(conditions)
    assert faults
    assert faults[0].state is state
    assert all(one.short and one.remedy for one in faults)
    seen = make.healthy(of)
    diagnosis = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    found = completed(guide(of, seen, diagnosis), diagnosis.kind, conditions)
    assert found.state.startswith("healthy, ")
    assert found.meaning == meaning
    assert found.command.startswith(command)
    lines = (*found.lines, *(one.line for one in faults))
    assert [line.replace(OURS, "age1…ours").replace(OTHER, "age1…other") for line in lines] == snapshot


def test_the_swarms_own_fault_comes_first_and_its_state_names_both() -> None:
    seen = make.survey([*make.healthy(S).reports[:2], make.gone(S.managers[2])])
    diagnosis = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    alone = guide(S, seen, diagnosis)
    found = completed(alone, diagnosis.kind, judged(S, stock({}), {}))
    assert found == replace(alone, state=f"{alone.state}, no copy")
    lost = guide(S, make.survey([]), replace(diagnosis, kind=Kind.ALL_LOST))
    assert completed(lost, Kind.ALL_LOST, judged(S, stock({}), {})) is lost


def test_a_change_that_an_update_makes_does_not_hide_the_fault() -> None:
    seen = make.healthy(S)
    diagnosis = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    found = completed(guide(S, seen, diagnosis, changed=True), diagnosis.kind, judged(S, stock({}), {}))
    assert (found.state, found.meaning, found.command) == ("healthy, no copy", NO_RECOVERY, "pulumi up")


def test_a_swarm_that_is_autolocked_is_asked_for_its_keys_whatever_the_settings_say() -> None:
    first, *others = make.healthy(S).reports
    facts = SwarmFacts({"EncryptionConfig": {"AutoLockManagers": True}})
    seen = make.survey([replace(first, swarm=facts), *others])
    assert [one.short for one in unmet(judge(S, seen, stock(), {}, make.NOW))] == ["no unlock key in escrow"]


@pytest.mark.parametrize("report", [make.silent, make.damaged, make.full, make.halted, make.gone, make.empty])
def test_a_manager_that_cannot_be_copied_is_brought_back_first(report: Callable[[Node], NodeReport]) -> None:
    """Its copies get old because of it, and `requorum copies take` takes none of it."""
    old = {**good(), "manager-c": [one("manager-c", ago=2 * DAY)], "manager-b": [one("manager-b", ago=2 * DAY)]}
    seen = make.survey([report(r.node) if r.node.name == "manager-c" else r for r in make.healthy(S).reports])
    remedies = {one.name: one.remedy for one in unmet(judge(S, seen, stock(old), {}, make.NOW))}
    assert remedies["copy of manager-b"] == "requorum copies take"
    assert remedies["copy of manager-c"] == "bring manager-c back (requorum doctor), then: requorum copies take"


def test_only_what_is_missing_here_is_about_this_machine() -> None:
    faults = {row[0]: unmet(judged(*row[1:4])) for row in CASES}
    assert {name for name, found in faults.items() if any(one.here for one in found)} == {
        "no identity",
        "wrong identity",
        "S3 down",
        "S3 down, no identity",
        "unlock key not opened",
        "no identity of the escrow",
    }


def test_the_conditions_of_the_swarm_itself() -> None:
    seen = make.healthy(S)
    diagnosis = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    guidance = guide(S, seen, diagnosis)
    assert [one.state for one in of_swarm(guidance, diagnosis.kind, ())] == [State.OK, State.OK]
    assert [one.state for one in of_swarm(guidance, diagnosis.kind, ("w",))] == [State.OK, State.FAILED]
    for kind in set(Kind) - {Kind.HEALTHY}:
        (quorum,) = of_swarm(guidance, kind, ("w",))
        assert quorum.state is (State.UNKNOWN if kind is Kind.ACCESS else State.FAILED)
