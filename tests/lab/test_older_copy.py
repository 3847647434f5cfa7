"""A worker that joined after the copy: the restored swarm does not list it. It leaves and joins again, as the plan says."""

import json
import re

import pytest

from lab import nodes
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = [pytest.mark.whole, pytest.mark.timeout(1200)]
OLDER = re.compile(r"this is plan (r[0-9a-f]{16})")


def test_it_is_a_member_again_after_one_update(swarm: Swarm) -> None:
    swarm.await_standing(*MANAGERS, *WORKERS)
    copies = json.loads(swarm.stack.requorum("copies", "list", "--json").text)["copies"]
    older = next(copy["name"] for copy in copies if copy["manager"] == "manager-a")
    nodes.lose(swarm.lab, ["worker-1"])
    swarm.stack.up("--skip-preview")
    swarm.await_standing(*MANAGERS, *WORKERS)
    joined = swarm.nodes()["worker-1"]["ID"]

    nodes.lose(swarm.lab, MANAGERS)
    chosen = ("--config", f"copy={older}")
    preview = swarm.stack.preview(*chosen, check=False)
    assert "worker-1: leave the swarm, which does not list it" in preview.text
    (plan,) = set(OLDER.findall(preview.text))
    swarm.stack.up("--skip-preview", *chosen, "--config", f"recover={plan}")
    swarm.await_standing(*MANAGERS, *WORKERS)
    seen = swarm.nodes()
    assert sorted(seen) == sorted((*MANAGERS, *WORKERS))
    assert seen["worker-1"]["ID"] != joined
    values = swarm.stack.settings()
    for key in ("copy", "recover"):
        values.pop(key, None)
    swarm.stack.write(values)
    swarm.stack.up("--skip-preview")  # Pulumi notes that its provider has no such setting any more
    swarm.stack.up("--skip-preview", "--expect-no-changes")
