"""A recovery that is killed at any point converges when it is run again, and never makes a second swarm."""

import json
import os
import signal
import subprocess
from typing import Any

import pytest

from lab import nodes
from lab.stack import PROJECT
from tests.lab.swarm import MANAGERS, Swarm

POINTS = {
    "hosts are being made": "Container manager-b creating",
    "the new cluster is being forced": "forcing a new cluster",
    "the second manager joins": "manager-b joins",
}


def plan_of(swarm: Swarm) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(swarm.stack.requorum("plan", "--json").text)
    return plan


def is_silent(plan: dict[str, Any]) -> bool:
    """Whether nothing is done because a machine does not answer (yet)."""
    return bool(plan["refusal"]) and "not known to be lost" in plan["refusal"]["why"]


def has_started(swarm: Swarm) -> bool:
    """Whether the machines that an update was making when it was killed are up: one that does not run is not known to be lost."""
    swarm.start_what_was_only_created()
    return not is_silent(plan_of(swarm))


def kill_at(swarm: Swarm, line: str) -> None:
    """Start the recovery, and end it with its providers, without a warning, when it shows the line."""
    stack = swarm.stack
    command = [
        "pulumi",
        "up",
        "--yes",
        "--skip-preview",
        "--non-interactive",
        "--cwd",
        str(PROJECT),
        "--stack",
        stack.name,
    ]
    plan = plan_of(swarm)
    command += ["--config", f"recover={plan['id']}", "--config-file", str(stack.file)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=stack.environment(), start_new_session=True
    )
    assert process.stdout is not None
    seen = any(line in shown for shown in process.stdout)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert seen, f"the update never showed {line!r}"


def mend_state(swarm: Swarm) -> None:
    """Pulumi's file backend does not write its state atomically: killed in between, it is mended from the copy beside it."""
    state = swarm.lab.pulumi_root / ".pulumi" / "stacks" / "requorum" / f"{swarm.stack.name}.json"
    try:
        json.loads(state.read_text())
    except ValueError:
        state.write_bytes(state.with_suffix(".json.bak").read_bytes())


@pytest.mark.parametrize("line", POINTS.values(), ids=POINTS.keys())
def test_a_killed_recovery_converges(swarm: Swarm, line: str) -> None:
    assert swarm.stack.requorum("backup").status == 0
    before = swarm.picture()
    nodes.lose(swarm.lab, MANAGERS)
    kill_at(swarm, line)
    mend_state(swarm)
    swarm.stack.pulumi("cancel", "--yes")
    swarm.until(lambda: has_started(swarm), "machines that were just made have started")
    left = plan_of(swarm)
    swarm.stack.up("--skip-preview", *(["--config", f"recover={left['id']}"] if left["id"] else []))
    assert not before.differences(swarm.picture())
    marks = [swarm.on(name, "sh", "-c", "ls -A /var/lib/docker/swarm | grep requorum || true") for name in MANAGERS]
    assert not any(marks), "what was restored is proven"
    assert {entry["Status"] for entry in swarm.nodes("manager-c").values()} == {"Ready"}
    assert "unchanged" in swarm.stack.up("--skip-preview", "--expect-no-changes").text
    report = json.loads(swarm.stack.requorum("report", "--json").text)
    assert (report["lost"], bool(report["copy"]), report["rpo"]["seconds"] > 0) == (list(MANAGERS), True, True)
    assert len(report["runs"]) == 2 or line == POINTS["hosts are being made"], "of both runs"
