"""`requorum check` on real machines, before and after the swarm is created. The tests run in order."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab import s3
from lab.stack import Result, Stack
from recovery.operations import agents
from recovery.s3 import policy
from recovery.settings import EXAMPLES_RECIPIENT, load
from tests.lab.conftest import Variant
from tests.lab.here import fresh, requorum
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

OUT_OF_THE_WAY = "/usr/bin/age-elsewhere"


@pytest.fixture(scope="module")
def machines(existing: Stack) -> Swarm:
    """Machines whose agents will have credentials of their own."""
    agent = {"credentialsFile": str(existing.instance.nodes_credentials_file), "schedule": "2099-01-01"}
    existing.write({**existing.settings(), "agent": agent})
    settings = load(existing.file)
    names = [manager.name for manager in settings.managers]
    s3.grant(existing.instance, policy.of_nodes(settings.backup.sites[0], settings.cluster, names))
    return Swarm(existing)


@pytest.fixture
def changed(machines: Swarm, tmp_path: Path) -> Variant:
    return Variant(machines.stack, tmp_path)


def conditions(done: Result) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(done.text)["conditions"]}


def failed(done: Result) -> set[str]:
    return {name for name, one in conditions(done).items() if one["state"] == "FAILED"}


@pytest.mark.whole
def test_all_faults_of_a_set_up_are_found_before_anything_is_done(
    machines: Swarm, changed: Variant, tmp_path: Path
) -> None:
    wrong = tmp_path / "credentials"
    wrong.write_text("[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n")
    values = machines.stack.settings()
    backup = {**values["backup"], "recipients": [EXAMPLES_RECIPIENT], "lock": {"mode": "governance", "days": 1}}
    stack = changed(backup=backup, agent={"credentialsFile": str(wrong)})
    for name in ("manager-b", "worker-1"):
        machines.on(name, "mv", "/usr/bin/age", OUT_OF_THE_WAY)
    try:
        done, shown = requorum(stack, "check", "--json"), stack.preview(check=False)
    finally:
        for name in ("manager-b", "worker-1"):
            machines.on(name, "mv", OUT_OF_THE_WAY, "/usr/bin/age")
    assert done.status == 3
    assert failed(done) == {"tools", "recipients", "identity", "main site offers", "credentials of agents"}
    assert shown.status != 0
    assert "code: setup-not-ready" in shown.text
    for name in failed(done):
        assert f"{name}: " in shown.text
    assert "apt-get install -y age" in conditions(done)["tools"]["next"]
    assert all(
        machines.on(name, "sh", "-c", "docker info -f '{{.Swarm.LocalNodeState}}'") == "inactive" for name in MANAGERS
    )


@pytest.mark.whole
def test_a_set_up_that_is_right_is_ready(machines: Swarm) -> None:
    done = requorum(machines.stack, "check", "--json")
    assert (done.status, failed(done)) == (0, set()), done.text
    assert json.loads(done.text)["next"] == "pulumi up"
    assert conditions(done)["credentials of agents"]["state"] == "OK"


@pytest.mark.whole
def test_after_the_first_update_a_recovery_from_here_would_work(machines: Swarm) -> None:
    machines.stack.up("--skip-preview")
    machines.await_standing(*MANAGERS, *WORKERS)
    machines.until(lambda: requorum(machines.stack, "check").status == 0, "every condition is met")
    assert machines.stack.requorum("status").status == 0
    assert requorum(machines.stack, "check", "--setup").status == 0


@pytest.mark.whole
def test_an_agent_whose_credentials_do_not_work_is_not_green(machines: Swarm) -> None:
    machines.on("manager-a", "sh", "-c", "sed -i 's/= .*/= nobody/' /etc/requorum/agent/credentials")
    machines.on("manager-a", "touch", "/var/lib/requorum/agent/due")
    machines.on("manager-a", "systemctl", "start", "--no-block", "requorum-copy.service")
    machines.until(lambda: failed(requorum(machines.stack, "check", "--json")) == {"agents"}, "its agent fails")
    assert requorum(machines.stack, "status").status == 3
    with fresh(machines.stack):
        settings = load(machines.stack.file)
        content = agents.files(settings, settings.managers[0])["etc/credentials"].decode()
    machines.on("manager-a", "sh", "-c", f"cat > /etc/requorum/agent/credentials <<'EOF'\n{content}EOF")
    machines.on("manager-a", "systemctl", "restart", "--no-block", "requorum-copy.service")
    machines.until(lambda: requorum(machines.stack, "check").status == 0, "its agent works again")


@pytest.mark.whole
def test_a_misspelt_cluster_is_named(machines: Swarm, changed: Variant) -> None:
    done = requorum(changed(cluster="labb"), "status", "--json")
    document = json.loads(done.text)
    assert (done.status, document["state"]) == (3, "foreign")
    assert "prepared for cluster lab. Is requorum:cluster (labb) misspelt?" in document["sentence"]
    assert document["next"].startswith("set requorum:cluster to lab")


@pytest.mark.whole
def test_without_s3_the_copies_are_unknown(machines: Swarm, changed: Variant) -> None:
    values = machines.stack.settings()
    backup = {**values["backup"], "endpoint": f"http://{machines.lab.host_link}:7999"}
    done = requorum(changed(backup=backup, clusterId=machines.stack.outputs()["clusterId"]), "status", "--json")
    assert done.status == 1
    assert "copies unknown" in json.loads(done.text)["state"]
    assert not failed(done)
