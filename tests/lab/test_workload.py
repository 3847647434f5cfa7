"""The workload of the stack file: built, updated, paused and rolled back, through losses, and taken over. The tests run in order."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.stack import Stack
from tests.lab.swarm import Swarm

pytestmark = pytest.mark.whole
EXAMPLES = Path(__file__).parents[2] / "examples/workload"
COINS, ROLLING = (
    yaml.safe_load((EXAMPLES / name).read_text())["requorum:workload"] for name in ("coins.yaml", "rolling.yaml")
)
KINDS = ("services", "secrets", "configs", "networks")


def merged(*workloads: dict[str, Any]) -> dict[str, Any]:
    return {kind: {name: one for of in workloads for name, one in of.get(kind, {}).items()} for kind in KINDS}


def declare(stack: Stack, workload: dict[str, Any]) -> None:
    values = stack.settings()
    values.pop("recover", None)
    stack.write({**values, "workload": workload})


def specification(swarm: Swarm, name: str, manager: str = "manager-a") -> Any:
    (found,) = swarm.json(manager, "service", "inspect", name)
    return found["Spec"]


def identities(swarm: Swarm, manager: str = "manager-a") -> dict[str, str]:
    return {one["Name"]: one["ID"] for one in swarm.json(manager, "service", "ls")}


def test_the_services_of_the_stack_file_run(swarm: Swarm) -> None:
    swarm.load_workload()
    declare(swarm.stack, merged(COINS, ROLLING))
    shown = swarm.stack.up("--skip-preview").text
    assert "worker: 4 of 4 tasks run as defined" in shown
    listed = {one["Name"]: (one["Mode"], one["Replicas"]) for one in swarm.json("manager-a", "service", "ls")}
    assert listed == {
        "rng": ("global", "2/2"),
        "hasher": ("replicated", "1/1"),
        "ledger": ("replicated", "1/1"),
        "worker": ("replicated", "4/4"),
        "web": ("replicated", "3/3"),
    }
    secret = specification(swarm, "ledger")["TaskTemplate"]["ContainerSpec"]["Secrets"][0]
    assert secret["SecretName"].startswith("ledger-key-")
    assert secret["File"]["Name"] == "ledger-key"
    rolling = specification(swarm, "web")["UpdateConfig"]
    assert (rolling["Delay"], rolling["Order"], rolling["FailureAction"]) == (10_000_000_000, "start-first", "rollback")


def test_nothing_is_left_to_change(swarm: Swarm) -> None:
    swarm.stack.preview("--expect-no-changes")
    state = swarm.stack.pulumi("stack", "export").text
    assert "not-a-secret" not in state


