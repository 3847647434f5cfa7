"""The workload of the stack file: built, updated, paused, rolled back, taken over, and through losses. The tests run in order."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import nodes, workload
from lab.stack import Stack
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = pytest.mark.whole
EXAMPLES = Path(__file__).parents[2] / "examples/workload"
COINS, ROLLING = (
    yaml.safe_load((EXAMPLES / name).read_text())["requorum:workload"] for name in ("coins.yaml", "rolling.yaml")
)
KINDS = ("networks", "secrets", "configs", "services")
COMPOSE: dict[str, Any] = {
    "version": "3.8",
    "services": {
        "one": {"image": workload.REFERENCE, "command": ["sleep", "1000000"], "stop_grace_period": "1s"},
        "two": {"image": workload.REFERENCE, "command": ["sleep", "1000000"], "stop_grace_period": "1s"},
    },
}
PORT = 8080


def merged(*workloads: dict[str, Any], **other: Any) -> dict[str, Any]:
    of_kind = {kind: {name: one for of in workloads for name, one in of.get(kind, {}).items()} for kind in KINDS}
    return {**of_kind, **other}


def declare(stack: Stack, of: dict[str, Any]) -> None:
    values = stack.settings()
    values.pop("recover", None)
    stack.write({**values, "workload": of})


def changed(stack: Stack, service: str, **keys: Any) -> dict[str, Any]:
    """The workload of the stack file, with other keys of one service."""
    of: dict[str, Any] = stack.settings()["workload"]
    of["services"][service] = {**of["services"][service], **keys}
    return of


def specification(swarm: Swarm, name: str, manager: str = "manager-a") -> Any:
    (found,) = swarm.json(manager, "service", "inspect", name)
    return found["Spec"]


def counts(swarm: Swarm, manager: str = "manager-a") -> dict[str, str]:
    return {one["Name"]: one["Replicas"] for one in swarm.json(manager, "service", "ls")}


def test_the_services_of_the_stack_file_run(swarm: Swarm) -> None:
    swarm.load_workload()
    declare(swarm.stack, merged(COINS, ROLLING))
    shown = swarm.stack.up("--skip-preview").text
    assert "worker: 4 of 4 tasks run as defined" in shown
    assert counts(swarm) == {"rng": "2/2", "hasher": "1/1", "ledger": "1/1", "worker": "4/4", "web": "3/3"}
    secret = specification(swarm, "ledger")["TaskTemplate"]["ContainerSpec"]["Secrets"][0]
    assert re.fullmatch("ledger-key-[0-9a-f]{8}", secret["SecretName"])
    assert secret["File"]["Name"] == "ledger-key"
    rolling = specification(swarm, "web")["UpdateConfig"]
    assert (rolling["Delay"], rolling["Order"], rolling["FailureAction"]) == (10_000_000_000, "start-first", "rollback")


def test_nothing_is_left_to_change_and_no_secret_is_plain_in_the_state(swarm: Swarm) -> None:
    swarm.stack.preview("--expect-no-changes")
    assert "not-a-secret" not in swarm.stack.pulumi("stack", "export").text


@pytest.mark.parametrize(
    "lost", [MANAGERS, MANAGERS[:1], MANAGERS[:2]], ids=["every manager", "one manager", "the quorum"]
)
def test_a_loss_changes_nothing_of_the_workload(swarm: Swarm, lost: tuple[str, ...]) -> None:
    """The update that made the workload took the copies, after its services were as defined."""
    before = swarm.picture("manager-c")
    nodes.lose(swarm.lab, lost)
    if len(lost) > 1:
        swarm.stack.recover()
    else:
        swarm.stack.up("--skip-preview")
    assert not before.differences(swarm.picture("manager-c"))
    swarm.stack.preview("--expect-no-changes")


def test_a_rolling_update_replaces_one_task_after_the_other(swarm: Swarm) -> None:
    declare(swarm.stack, changed(swarm.stack, "web", env={"VERSION": "2"}))
    done = swarm.stack.up("--skip-preview")
    told = [*dict.fromkeys(re.findall(r"web: (\d) of 3 tasks run as defined", done.text))]
    assert told == sorted(told)
    assert (len(told) > 1, told[-1]) == (True, "3")
    assert done.seconds > 20, "two delays of 10 s"
    assert specification(swarm, "web")["TaskTemplate"]["ContainerSpec"]["Env"] == ["VERSION=2"]


def test_an_update_that_fails_is_rolled_back_and_told(swarm: Swarm) -> None:
    declare(swarm.stack, changed(swarm.stack, "web", args=["false"]))
    done = swarm.stack.up("--skip-preview", check=False)
    assert done.status != 0
    assert "the swarm rolled its update back" in done.text
    assert done.text.count("next: ") == 1
    assert specification(swarm, "web")["TaskTemplate"]["ContainerSpec"]["Args"][0] == "httpd"
    declare(swarm.stack, changed(swarm.stack, "web", args=ROLLING["services"]["web"]["args"]))
    swarm.stack.up("--skip-preview")
    swarm.stack.preview("--expect-no-changes")


def test_an_update_that_fails_is_paused_and_told_again_until_it_is_corrected(swarm: Swarm) -> None:
    declare(swarm.stack, changed(swarm.stack, "hasher", args=["false"]))
    done = swarm.stack.up("--skip-preview", check=False)
    assert "the swarm paused its update" in done.text
    assert "next: correct requorum:workload.services.hasher in the stack file, then run: pulumi up" in done.text
    again = swarm.stack.up("--skip-preview", check=False)
    assert again.status != 0
    assert "the swarm paused its update" in again.text
    declare(swarm.stack, changed(swarm.stack, "hasher", args=COINS["services"]["hasher"]["args"]))
    swarm.stack.up("--skip-preview")
    assert counts(swarm)["hasher"] == "1/1"


def test_a_changed_config_has_a_new_name_and_the_old_one_goes(swarm: Swarm) -> None:
    (old,) = (one["Name"] for one in swarm.json("manager-a", "config", "ls"))
    of = swarm.stack.settings()["workload"]
    declare(swarm.stack, {**of, "configs": {"difficulty": {"value": "5"}}})
    swarm.stack.up("--skip-preview")
    (new,) = (one["Name"] for one in swarm.json("manager-a", "config", "ls"))
    assert new != old
    used = specification(swarm, "worker")["TaskTemplate"]["ContainerSpec"]["Configs"][0]
    assert used["ConfigName"] == new


def test_the_coins_are_counted_over_the_network_and_the_port(swarm: Swarm) -> None:
    def counted() -> bool:
        found = [
            swarm.on(worker, "docker", "exec", container, "cat", "/tmp/coins", check=False)
            for worker in WORKERS
            for container in swarm.on(worker, "docker", "ps", "-q", "--filter", "name=ledger").split()
        ]
        return any("coin" in one for one in found)

    swarm.until(counted, "the workers reach the ledger by its name")
    listening = [swarm.on(worker, "ss", "-Hlnt", f"sport = :{PORT}") for worker in WORKERS]
    assert len([one for one in listening if one]) == 1, "the port of the one task, on its node"


def test_a_compose_file_is_deployed_and_pruned(swarm: Swarm, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump(COMPOSE))
    declare(swarm.stack, {**swarm.stack.settings()["workload"], "stacks": {"tools": str(file)}})
    swarm.stack.up("--skip-preview")
    assert {name for name in counts(swarm) if name.startswith("tools_")} == {"tools_one", "tools_two"}
    swarm.stack.preview("--expect-no-changes")
    file.write_text(yaml.safe_dump({**COMPOSE, "services": {"one": COMPOSE["services"]["one"]}}))
    assert "stack tools: - services.two" in swarm.stack.preview().text
    swarm.stack.up("--skip-preview")
    assert {name for name in counts(swarm) if name.startswith("tools_")} == {"tools_one"}


def test_a_service_that_was_there_is_imported_untouched(swarm: Swarm) -> None:
    image, command = workload.REFERENCE, ("sleep", "1000000")
    options = ("--detach", "--no-resolve-image", "--name", "agent", "--replicas", "2")
    swarm.on("manager-a", "docker", "service", "create", *options, image, *command)
    swarm.until(lambda: counts(swarm).get("agent") == "2/2", "the service runs")
    (before,) = swarm.json("manager-a", "service", "inspect", "agent")
    running = {worker: swarm.containers(worker) for worker in WORKERS}
    state = json.loads(swarm.stack.pulumi("stack", "export").text)["deployment"]["resources"]
    urns = {one["urn"].rsplit("::", 1)[-1]: one["urn"] for one in state}
    swarm.stack.pulumi(
        *("import", "docker:index/service:Service", "agent", before["ID"]),
        *("--parent", f"workload={urns['workload']}", "--provider", f"swarm-engine={urns['swarm-engine']}"),
        *("--generate-code=false", "--protect=false", "--yes"),
        config_file=True,
    )
    of = swarm.stack.settings()["workload"]
    left_out = dict.fromkeys(("restart", "stopGracePeriod", "update", "rollback"))
    as_made = {"init": False, "limits": {}, "reservations": {}, **left_out}
    agent = {"image": image, "args": list(command), "replicas": 2, **as_made}
    declare(swarm.stack, {**of, "services": {**of["services"], "agent": agent}})
    lines = [line.strip() for line in swarm.stack.preview().text.splitlines() if "docker:index:Service agent" in line]
    assert not [line for line in lines if line[0] in "~+-" and "refresh" not in line], swarm.stack.preview(
        "--diff"
    ).text
    swarm.stack.up("--skip-preview")
    (after,) = swarm.json("manager-a", "service", "inspect", "agent")
    assert (after["ID"], after["Spec"]["TaskTemplate"]) == (before["ID"], before["Spec"]["TaskTemplate"])
    assert {worker: swarm.containers(worker) for worker in WORKERS} == running
    swarm.stack.preview("--expect-no-changes")
