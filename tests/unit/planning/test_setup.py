"""What must be right before a swarm is created: a table over everything that may be wrong."""

from dataclasses import replace
from typing import Any

import pytest
import yaml
from syrupy.assertion import SnapshotAssertion

from recovery.planning.conditions import State, unmet
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.guidance import guide
from recovery.planning.readiness import AgentFault, Opener
from recovery.planning.setup import SetUp, judge
from recovery.s3.capability import REACHABLE, Capabilities, Capability, ProbeResult
from recovery.settings import EXAMPLES_RECIPIENT, Settings, parse
from recovery.swarm.model import NodeReport, Reach
from recovery.swarm.on_node import OnNode
from tests.layers import ROOT
from tests.unit import factories as make

EXISTING: dict[str, Any] = {"hosts": {"driver": "existing", "fence": ["power-off"]}}
S = make.settings(**EXISTING)
AGENTS = make.settings(**EXISTING, agent={})
LOCKED = make.settings(**EXISTING, swarm={"autolock": True}, escrow={"recipients": S.backup.recipients})
OURS = str(make.IDENTITY.to_public())
HERE = Opener("backup.identityFile", "/id", public=frozenset({OURS}))
KEYS = Opener("escrow.identityFile", "/id", public=frozenset({OURS}))
READY = [replace(make.empty(node), on_node=OnNode()) for node in S.nodes]


def offers(what: str = "", answer: ProbeResult = ProbeResult.NO, needed: str = "", site: str = "main") -> Capabilities:
    found = [Capability(REACHABLE, ProbeResult.YES, needed="everything")]
    if what == REACHABLE:
        found = []
    if what:
        found.append(Capability(what, answer, "so it says", needed))
    return Capabilities(site, f"s3://{site}", tuple(found))


def found(**changes: Any) -> SetUp:
    values = {"sites": [offers()], "identity": HERE, "escrow": KEYS, "unfit": {}}
    return SetUp(**{**values, **changes})


def with_(number: int, **changes: Any) -> list[NodeReport]:
    return [replace(report, **changes) if index == number else report for index, report in enumerate(READY)]


INSTALLS = AGENTS.model_copy(update={"hosts": AGENTS.hosts.model_copy(update={"install": True})})
LACKING = [
    replace(report, on_node=OnNode(lacks=tools))
    for report, tools in zip(READY, (("age",), ("ip", "age"), (), (), ()), strict=True)
]
NO_MODULES = "these packages are missing: apt-get install python3-cryptography python3-nacl"
DENIED = AgentFault("writing to s3://copies: AccessDenied", "requorum policy")
WELL: list[tuple[str, Settings, list[NodeReport], SetUp]] = [
    ("all ready", S, READY, found()),
    ("machines that an update makes", make.settings(), [make.gone(node) for node in S.nodes], found()),
    ("agents", AGENTS, READY, found(tried="manager-a")),
    ("tools that an update installs", INSTALLS, LACKING, found()),
    ("what agents need, which an update installs", INSTALLS, READY, found(unfit={"manager-a": NO_MODULES})),
    ("autolock", LOCKED, READY, found()),
    ("something not offered that nothing needs", S, READY, found(sites=[offers("object lock")])),
]
CASES: list[tuple[str, Settings, list[NodeReport], SetUp, State, bool]] = [
    ("silent", S, with_(1, reach=Reach.SILENT, on_node=None), found(), State.FAILED, False),
    (
        "not pinned",
        S,
        with_(1, reach=Reach.NOT_PINNED, on_node=None, scan="ssh-keyscan -p 22 10.77.2.12"),
        found(),
        State.FAILED,
        False,
    ),
    ("another cluster's", S, [replace(report, marked="prod") for report in READY], found(), State.FAILED, False),
    ("tools", S, LACKING, found(), State.FAILED, True),
    ("engine down", S, with_(0, reach=Reach.NO_ENGINE, on_node=None), found(), State.UNKNOWN, False),
    ("the example's recipient", S, READY, found(of_example=("backup.recipients",)), State.FAILED, True),
    ("no identity", S, READY, found(identity=replace(HERE, fault="/id is not on this machine")), State.FAILED, False),
    ("wrong identity", S, READY, found(identity=replace(HERE, public=frozenset({"age1x"}))), State.FAILED, True),
    (
        "no identity of the escrow",
        LOCKED,
        READY,
        found(escrow=replace(KEYS, fault="/id is not here")),
        State.FAILED,
        False,
    ),
    ("wrong one of the escrow", LOCKED, READY, found(escrow=replace(KEYS, public=frozenset())), State.FAILED, True),
    ("no lock", S, READY, found(sites=[offers("object lock", needed="backup.lock")]), State.FAILED, True),
    (
        "encryption ignored",
        S,
        READY,
        found(sites=[offers("encryption (kms)", ProbeResult.IGNORED, "backup.encryption")]),
        State.FAILED,
        True,
    ),
    (
        "no conditional writes",
        S,
        READY,
        found(sites=[offers("conditional writes", needed="the lease of two operators")]),
        State.FAILED,
        False,
    ),
    (
        "not known",
        S,
        READY,
        found(sites=[offers("object lock", ProbeResult.UNKNOWN, "backup.lock")]),
        State.UNKNOWN,
        False,
    ),
    (
        "second site not reached",
        S,
        READY,
        found(sites=[offers(), offers(REACHABLE, needed="everything", site="second")]),
        State.FAILED,
        True,
    ),
    (
        "agents cannot run",
        AGENTS,
        READY,
        found(unfit=dict.fromkeys(["manager-a", "manager-c"], NO_MODULES)),
        State.FAILED,
        True,
    ),
    ("credentials", AGENTS, READY, found(tried="manager-a", trial=DENIED), State.FAILED, True),
    (
        "credentials not tried to the end",
        AGENTS,
        READY,
        found(tried="manager-a", trial=replace(DENIED, known=False)),
        State.UNKNOWN,
        False,
    ),
    ("no fence program", S, READY, found(fence=False), State.FAILED, False),
]


@pytest.mark.parametrize(("of", "reports", "has"), [row[1:] for row in WELL], ids=[row[0] for row in WELL])
def test_all_is_ready(of: Settings, reports: list[NodeReport], has: SetUp, snapshot: SnapshotAssertion) -> None:
    conditions = judge(of, make.survey(reports), has)
    assert not unmet(conditions)
    assert [one.line for one in conditions] == snapshot


@pytest.mark.parametrize(
    ("of", "reports", "has", "state", "grave"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_each_fault_is_told_with_what_to_do(
    of: Settings, reports: list[NodeReport], has: SetUp, state: State, grave: bool, snapshot: SnapshotAssertion
) -> None:
    faults = unmet(judge(of, make.survey(reports), has))
    assert (faults[0].state, faults[0].grave) == (state, grave)
    assert all(one.short and one.remedy for one in faults)
    lines = [line for one in faults for line in (one.line, f"next: {one.remedy}")]
    key = str(of.ssh.private_key_file)
    assert [line.replace(OURS, "age1…ours").replace(key, "/ssh/key") for line in lines] == snapshot


def test_the_recipient_of_the_example_is_known() -> None:
    values = yaml.safe_load((ROOT / "stacks" / "Pulumi.production.example.yaml").read_text())["config"]
    assert values["requorum:backup"]["recipients"] == [EXAMPLES_RECIPIENT]
    assert parse(make.raw(backup={"bucket": "copies", "recipients": [EXAMPLES_RECIPIENT]}))


def test_machines_of_a_misspelt_cluster_name_the_cluster(snapshot: SnapshotAssertion) -> None:
    """They are a living swarm: nobody is sent to leave it."""
    seen = make.survey([replace(report, marked="prod") for report in make.healthy(S).reports])
    diagnosis = diagnose(seen, None, cluster="lab", copies=False)
    told = guide(S, seen, diagnosis)
    assert diagnosis.kind is Kind.FOREIGN
    assert diagnosis.prepared_for == "prod"
    assert "docker swarm leave" not in " ".join(told.lines)
    assert told.lines == snapshot


def test_machines_of_several_clusters_name_none() -> None:
    reports = make.healthy(S).reports
    marks = ("prod", "prod", "test", "", "lab")
    seen = make.survey([replace(report, marked=mark) for report, mark in zip(reports, marks, strict=True)])
    assert not diagnose(seen, None, cluster="lab", copies=False).prepared_for
