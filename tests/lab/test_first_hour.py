"""The first hour: from three fresh machines, and from a swarm that docker alone made, to a proven copy by the README's commands."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import cluster, environment, nodes, workload
from lab.instance import Instance
from lab.stack import PROJECT, Stack
from recovery.settings import load
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, Swarm

ADDRESSES = dict(zip(MANAGERS, (address(1, 11), address(2, 12), address(3, 13)), strict=True))
MOST_COMMANDS = 10
PORT = "4790"
LISTS = ("iptables", "ip6tables")
HOST_KEY = "ssh_host_ed25519_key.pub"


def of_readme(heading: str) -> list[str]:
    """The commands of the last code block below a heading of the README, without remarks."""
    section = (PROJECT / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    block = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[-1]
    return [command for line in block.splitlines() if (command := line.split("  #")[0].strip())]


@dataclass
class Person:
    """A person at an operator's machine with nothing of Requorum's on it but a checkout and a private key."""

    lab: Instance
    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    typed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.project = self.home / "checkout"
        self.project.mkdir(parents=True)
        for entry in PROJECT.iterdir():
            if entry.name not in ("stacks", ".git"):
                (self.project / entry.name).symlink_to(entry)
        (self.project / "stacks").mkdir()
        (self.home / ".ssh").mkdir(mode=0o700)
        shutil.copy(self.lab.operator_key, self.home / ".ssh" / "id_ed25519")
        self.variables = {**environment.variables(self.lab), "HOME": str(self.home)}
        for name in ("PULUMI_STACK", "DOCKER_HOST"):
            del self.variables[name]

    def types(self, command: str, *, check: bool = True) -> str:
        """What a command prints."""
        first, _, rest = command.partition(" ")
        if first == "export":
            name, _, value = rest.partition("=")
            self.variables[name] = value
            return ""
        self.typed.append(command)
        around = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "XDG_"))}
        done = subprocess.run(
            shlex.split(command),
            cwd=self.project,
            env={**around, **self.variables, "REQUORUM_PROJECT": str(self.project)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=540,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def machines(lab: Instance) -> Iterator[Instance]:
    """Three fresh machines, and Pulumi's plugins."""
    nodes.make(lab, ADDRESSES)
    cluster.link_plugins(lab)
    yield lab
    nodes.remove_all(lab)


def swarm_of(person: Person, name: str) -> Swarm:
    return Swarm(Stack(person.lab, name, person.project / "stacks" / f"Pulumi.{name}.yaml"))


def test_from_fresh_machines_to_a_proven_copy_by_the_readme_s_commands(machines: Instance, tmp_path: Path) -> None:
    person = Person(machines, tmp_path / "home")
    flags = (
        f"--managers {','.join(ADDRESSES.values())} --bucket {machines.bucket} --endpoint {machines.s3_endpoint} "
        "--accept-host-keys"
    )
    told = {
        command: person.types(
            command + {"requorum init": f" {flags}", "pulumi up": " --yes", "pulumi preview": ""}.get(command, "")
        )
        for command in of_readme("Your cluster")
    }
    assert "requorum copies drill" in told
    assert len(person.typed) <= MOST_COMMANDS, person.typed
    (file,) = (person.project / "stacks").iterdir()
    assert len(load(file).managers) == len(MANAGERS)
    swarm = swarm_of(person, load(file).cluster)
    assert sorted(swarm.nodes()) == sorted(MANAGERS)
    copies = json.loads(person.types("requorum copies list --json"))["copies"]
    assert {copy["manager"] for copy in copies if copy["proof"]["verdict"] == "proven"} == set(MANAGERS)


def hand_made(lab: Instance) -> Swarm:
    """Two managers and a worker, as docker alone makes them, with a service that runs on a manager."""
    swarm, (first, second, third) = Swarm(Stack(lab, "none")), MANAGERS
    for name in MANAGERS:
        swarm.on(name, "docker", "swarm", "leave", "--force", check=False)
    init = ["docker", "swarm", "init", "--advertise-addr", ADDRESSES[first], "--data-path-port", PORT]
    swarm.on(first, *init, "--task-history-limit", "3")
    for name, role in ((second, "manager"), (third, "worker")):
        token = swarm.on(first, "docker", "swarm", "join-token", "-q", role)
        path = ["--data-path-addr", ADDRESSES[name]] if role == "worker" else []
        swarm.on(name, "docker", "swarm", "join", *path, "--token", token, f"{ADDRESSES[first]}:2377")
    for name, zone in ((first, "dc1"), (second, "dc2"), (third, "dc1")):
        swarm.on(first, "docker", "node", "update", "--label-add", f"example.org/zone={zone}", name)
    swarm.on(first, "docker", "node", "update", "--availability", "pause", second)
    workload.load_workload(lab, ADDRESSES[first])
    where = ["--constraint", f"node.hostname=={first}"]
    swarm.on(
        first, "docker", "service", "create", "--detach", "--no-resolve-image", "--name", "web", *where,
        workload.REFERENCE, "sleep", "1000000",
    )  # fmt: skip
    swarm.until(lambda: len(swarm.containers(first)) == 1, "a task runs")
    return swarm


def picture(swarm: Swarm) -> Mapping[str, Any]:
    """All that nobody may change, as docker and the nodes tell it."""
    ids = [entry["ID"] for entry in swarm.json(MANAGERS[0], "node", "ls")]
    inspected = swarm.json(MANAGERS[0], "node", "inspect", *ids)
    return {
        "nodes": {one["ID"]: (one["Spec"], one["Status"]["State"], one["Version"]) for one in inspected},
        "services": swarm.json(MANAGERS[0], "service", "ls"),
        "options": swarm.json(MANAGERS[0], "info")[0]["Swarm"]["Cluster"],
        "containers": {name: swarm.containers(name) for name in MANAGERS},
        "rules": {name: [swarm.on(name, family, "-S") for family in LISTS] for name in MANAGERS},
        "files": {
            name: swarm.on(name, "sh", "-c", "ls -A /etc/requorum /usr/local/lib/requorum 2>&1", check=False)
            for name in MANAGERS
        },
    }


@pytest.mark.whole
def test_a_swarm_that_docker_made_is_read_and_nothing_in_it_changes(lab: Instance, tmp_path: Path) -> None:
    nodes.remove_all(lab)
    nodes.make(lab, ADDRESSES)
    swarm, person = hand_made(lab), Person(lab, tmp_path / "home")
    shown = [
        subprocess.check_output(["ssh-keygen", "-lf", lab.identity(name) / HOST_KEY], text=True) for name in MANAGERS
    ]
    fingerprints = [text.split()[1] for text in shown]
    person.types("export PULUMI_STACK=taken")
    before = picture(swarm)
    told = person.types(
        f"requorum init --from ssh://root@{ADDRESSES[MANAGERS[0]]} --bucket {lab.bucket} --endpoint {lab.s3_endpoint} "
        + " ".join(f"--host-key {fingerprint}" for fingerprint in fingerprints)
    )
    assert picture(swarm) == before
    assert "2 managers tolerate no loss" in told
    made = load(person.project / "stacks" / "Pulumi.taken.yaml")
    assert made.cluster_id == swarm.cluster_id()
    assert [(node.name, str(node.address), node.zone, node.availability) for node in made.nodes] == [
        ("manager-a", ADDRESSES["manager-a"], "dc1", None),
        ("manager-b", ADDRESSES["manager-b"], "dc2", None),
        ("manager-c", ADDRESSES["manager-c"], "dc1", None),
    ]
    assert [node.name for node in made.workers] == ["manager-c"]
    assert str(made.workers[0].data_path_address) == ADDRESSES["manager-c"]
    assert made.swarm.data_path_port == int(PORT)
    person.types("requorum copies take")
    copies = json.loads(person.types("requorum copies list --json"))["copies"]
    proofs = {copy["manager"]: copy["proof"]["verdict"] for copy in copies}
    assert proofs == {"manager-a": "proven", "manager-b": "proven"}
    after = picture(swarm)
    assert {**after, "nodes": None} == {**before, "nodes": None}
    assert {key: spec for key, (spec, *_) in after["nodes"].items()} == {
        key: spec for key, (spec, *_) in before["nodes"].items()
    }
    person.types("pulumi stack init taken")
    previewed = person.types("pulumi preview")
    assert "change:" not in previewed
    assert "2 managers tolerate no loss" in previewed
