"""Machines that the operator's own program makes: it makes them again when they are lost, and they rejoin."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lab import cluster, keys, nodes
from lab.instance import Instance
from lab.stack import PROJECT, Result, Stack, settings
from tests.lab.here import requorum
from tests.lab.machines import ADDRESSES
from tests.lab.machines_api import Platform, serving
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = pytest.mark.whole
PROGRAM = PROJECT / "examples" / "api"
COMMAND = [sys.executable, str(PROGRAM / "machines.py"), "lab"]
MISSING = re.compile(r"next: (for machine in .*done)$", re.MULTILINE)


class OwnProgram(Stack):
    """A stack of the example's program."""

    project = PROGRAM

    def requorum(self, *arguments: str) -> Result:
        command = [str(PROJECT / "bin/requorum"), *arguments, "--config-file", str(self.file)]
        return self._run(command, 300)


@pytest.fixture(scope="module")
def platform(lab: Instance) -> Iterator[Platform]:
    with serving(lab, {address: name for name, address in ADDRESSES.items()}) as found:
        yield found
        nodes.remove_all(lab)


@pytest.fixture(scope="module")
def stack(lab: Instance, platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("driver")
    made, values = OwnProgram(lab, "driver", folder / "Pulumi.driver.yaml"), settings(lab)
    hosts = {
        "driver": "program",
        "identities": str(folder / "keys"),
        "presence": [*COMMAND, "presence", "{addresses}"],
        "fence": [*COMMAND, "fence", "{address}"],
    }
    ssh = {**values["ssh"], "knownHostsFile": str(lab.known_hosts)}
    made.write({**values, "hosts": hosts, "ssh": ssh, "backup": {**values["backup"], "prefix": "driver"}})
    keys.ensure(lab, {})
    cluster.link_plugins(lab)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MACHINES_API", platform.url)
        patch.setenv("PYTHONPATH", str(PROJECT))
        made.select()
        yield made


@pytest.fixture(scope="module")
def swarm(stack: Stack) -> Swarm:
    return Swarm(stack)


def test_preview_says_how_to_make_and_pin_the_host_keys_that_are_missing(swarm: Swarm, platform: Platform) -> None:
    refused = swarm.stack.preview(check=False)
    assert "code: host-keys-missing" in refused.text
    assert all(name in refused.text for name in (*MANAGERS, *WORKERS))
    (command,) = MISSING.findall(refused.text)
    subprocess.run(["sh", "-c", command], check=True)
    shown = swarm.stack.preview()
    assert "next: pulumi up" in shown.text
    assert not platform.asked


def test_the_program_makes_the_machines_and_they_show_the_pinned_keys(swarm: Swarm, platform: Platform) -> None:
    swarm.stack.up("--skip-preview")
    swarm.await_standing(*ADDRESSES)
    zones = {wanted["address"]: wanted["zone"] for wanted in platform.asked}
    assert [zones[ADDRESSES[name]] for name in MANAGERS] == ["a", "b", "c"]
    state = swarm.stack.pulumi("stack", "export").text
    assert "PRIVATE KEY" not in state
    assert "unchanged" in swarm.stack.up("--skip-preview", "--expect-no-changes").text


def test_a_manager_and_a_worker_that_are_gone_are_made_again_and_join(swarm: Swarm, platform: Platform) -> None:
    swarm.run_workload()
    assert requorum(swarm.stack, "backup").status == 0
    platform.lose("manager-c", "worker-2")
    told = json.loads(requorum(swarm.stack, "status", "--json").text)
    assert {node["name"]: node["reach"] for node in told["nodes"]}.items() >= {
        "manager-c": "gone",
        "worker-2": "gone",
    }.items()
    swarm.stack.up("--skip-preview")
    swarm.await_standing(*ADDRESSES)


def test_all_managers_are_made_again_and_get_the_swarm_back(swarm: Swarm, platform: Platform) -> None:
    assert requorum(swarm.stack, "backup").status == 0
    before = swarm.picture()
    platform.lose(*MANAGERS)
    refused = swarm.stack.up("--skip-preview", check=False)
    assert refused.status != 0
    assert "code: consent-needed" in refused.text or "recover" in refused.text
    swarm.stack.recover()
    swarm.await_standing(*ADDRESSES)
    assert not before.differences(swarm.picture())


def test_a_machine_that_is_fenced_is_removed_and_an_update_makes_another(swarm: Swarm, platform: Platform) -> None:
    before = {one["address"]: one["id"] for one in platform.machines()}
    done = requorum(swarm.stack, "fence", "worker-1", "--force", "--yes")
    assert done.status == 0, done.errors
    assert ADDRESSES["worker-1"] not in {one["address"] for one in platform.machines()}
    swarm.stack.up("--skip-preview")
    swarm.await_standing(*ADDRESSES)
    after = {one["address"]: one["id"] for one in platform.machines()}
    assert {address for address in after if after[address] != before[address]} == {ADDRESSES["worker-1"]}


def test_destroy_removes_the_machines(swarm: Swarm, platform: Platform) -> None:
    swarm.stack.destroy()
    assert not platform.machines()
