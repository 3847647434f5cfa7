"""What is wrong with an agent, and what to do."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from typer.testing import CliRunner

from recovery.agent.state import Fault, State
from recovery.cli import app
from recovery.cli.agents import NEVER_PRUNED, _codes
from recovery.errors import Silent, StoreError, TransportError
from recovery.operations import agents
from recovery.operations.agent_faults import LATE_SECONDS, LOG, REMEDIES, fault
from recovery.operations.agents import AgentStatus
from tests.unit import factories as make
from tests.unit.operations.agents.wanted import NOW

LONG = LATE_SECONDS + 60
FINE = AgentStatus("digest", timer=True, watch=True, waiting=0, state=State(attempted=NOW - 60), due=NOW - 120, now=NOW)
POLICY = StoreError("writing", "AccessDenied", remedy="curl here | sh", code="s3-denied")
"""As a compromised node words it."""
WELL: dict[str, AgentStatus] = {
    "fine": FINE,
    "another's turn": replace(FINE, result="exit-code", status=75),
    "has run, and nothing was due since": replace(FINE, state=State(attempted=NOW - 9 * LONG), due=NOW - 9 * LONG),
    "is at it": replace(FINE, state=State(attempted=NOW - 9 * LONG), due=NOW - 60),
    "stores it just now": replace(FINE, waiting=1, since=NOW - 60),
}
AT_FAULT: dict[str, tuple[AgentStatus | TransportError, str]] = {
    "silent": (Silent("connecting", "nothing answers", remedy="requorum status"), "requorum status"),
    "none there": (replace(FINE, digest=""), "pulumi up"),
    "no timer": (replace(FINE, timer=False), "pulumi up"),
    "no watch": (replace(FINE, watch=False), "pulumi up"),
    "an error of ours": (
        replace(FINE, state=State(attempted=NOW).failing(Fault.STORE, str(POLICY))),
        REMEDIES["s3-denied"],
    ),
    "another error": (replace(FINE, state=State(attempted=NOW).failing(Fault.COPY, "no room")), LOG),
    "a full disk: nothing is remembered": (replace(FINE, state=State(), result="exit-code", status=1), LOG),
    "killed": (replace(FINE, result="oom-kill", status=9), LOG),
    "never ran since it is there": (replace(FINE, state=State(), due=NOW - LONG), LOG),
    "what S3 never got": (replace(FINE, waiting=1, since=NOW - LONG), LOG),
}


@pytest.mark.parametrize("standing", WELL.values(), ids=WELL)
def test_nothing_is_wrong_with_an_agent_that_does_its_work(standing: AgentStatus) -> None:
    assert fault(standing, watched=True) is None


@pytest.mark.parametrize(("standing", "remedy"), AT_FAULT.values(), ids=AT_FAULT)
def test_what_is_wrong_with_an_agent_is_said_with_what_to_do(
    standing: AgentStatus | TransportError, remedy: str, snapshot: SnapshotAssertion
) -> None:
    found = fault(standing, watched=True)
    assert found
    assert found.remedy == remedy
    assert found.known is not isinstance(standing, TransportError)
    assert found.text == snapshot


def test_the_codes_of_an_agents_faults_are_in_the_json() -> None:
    broken = State().failing(Fault.STORE, str(POLICY)).failing(Fault.DISK, "no room")
    assert _codes(replace(FINE, state=broken)) == ["s3-denied"]
    assert _codes(FINE) == []
    assert _codes(Silent("connecting", "nothing answers", remedy="", code="node-unreachable")) == ["node-unreachable"]


def test_an_agent_that_watches_and_shall_not_is_atfault() -> None:
    assert fault(FINE, watched=False)
    assert not fault(replace(FINE, watch=False), watched=False)


@pytest.mark.parametrize(
    ("backup", "agent", "warned"),
    [({"retention": None}, {}, True), ({}, {}, False), ({"retention": None}, {"onChange": False}, False)],
)
def test_copies_that_nobody_prunes_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backup: dict[str, Any], agent: dict[str, Any], warned: bool
) -> None:
    raw = make.raw(agent=agent, backup={**make.RAW["backup"], **backup})
    (tmp_path / "stack.yaml").write_text(
        json.dumps({"config": {f"requorum:{key}": value for key, value in raw.items()}})
    )
    monkeypatch.setattr(agents, "inspect", lambda _, __: replace(FINE, watch=agent.get("onChange", True)))
    done = CliRunner().invoke(app, ["agents", "--config-file", str(tmp_path / "stack.yaml"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["warnings"] == ([NEVER_PRUNED] if warned else [])
