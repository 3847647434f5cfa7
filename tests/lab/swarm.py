"""A cluster on the lab as the tests look at it: through docker on its nodes, not through the code under test."""

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docker import DockerClient

from lab import node_container, nodes, workload
from lab.stack import Stack

MANAGERS = ("manager-a", "manager-b", "manager-c")
WORKERS = ("worker-1", "worker-2")
NODE_KEYS = ("Labels", "Availability", "Role")
OWN_ENGINE = "DOCKER_HOST=unix:///var/run/docker.sock"
"""A node's docker asks the node's engine, whatever its context is."""
SECONDS = 180
"""How long to wait for what must come, also on a machine that is slow or busy."""
PAUSE, LONGEST_PAUSE = 0.2, 1.0
"""Seconds between two looks, each pause half as long again as the one before: a look takes the processor from what is waited for."""


@dataclass(frozen=True)
class Picture:
    """Everything that must be the same before and after a recovery."""

    cluster_id: str
    nodes: Mapping[str, Any]
    objects: Mapping[str, Any]
    containers: Mapping[str, frozenset[str]]

    def differences(self, other: "Picture") -> list[str]:
        """What is not the same in the other picture, a line each."""
        found = [f"cluster {self.cluster_id} / {other.cluster_id}"] if self.cluster_id != other.cluster_id else []
        for mine, theirs in (
            (self.nodes, other.nodes),
            (self.objects, other.objects),
            (self.containers, other.containers),
        ):
            keys = sorted(mine.keys() | theirs.keys())
            found += [f"{key}: {mine.get(key)} / {theirs.get(key)}" for key in keys if mine.get(key) != theirs.get(key)]
        return found


class Swarm:
    """Docker on the nodes of one stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.lab = stack.instance
        self._engine = DockerClient(base_url=self.lab.docker_host)

    def on(self, node: str, *command: str, check: bool = True) -> str:
        """What a command on a node prints. Not by the docker package, which may lose the beginning (docker-py#3332)."""
        argv = ["docker", "-H", self.lab.docker_host, "exec", "--env", OWN_ENGINE, node, *command]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{command} on {node}: {done.returncode} {done.stderr}"
        return done.stdout.strip()

    def json(self, node: str, *command: str) -> Any:
        """The JSON objects, one a line, that a docker command on a node prints."""
        return [json.loads(line) for line in self.on(node, "docker", *command, "--format", "{{json .}}").splitlines()]

    def nodes(self, manager: str = "manager-a") -> dict[str, dict[str, str]]:
        """`docker node ls` by host name."""
        return {entry["Hostname"]: entry for entry in self.json(manager, "node", "ls")}

    def start_what_was_only_created(self) -> None:
        """Start containers that were made and never started; one that was not given its address goes, as by `requorum fence`."""
        for container in self._engine.containers.list(all=True, filters={"status": "created"}):
            if node_container.address(self.lab, container):
                container.start()
            else:
                container.remove(force=True, v=True)

    def stands(self, *names: str, manager: str = "manager-b") -> bool:
        """Whether a manager lists these nodes and no others, all of them Ready, and the managers as voting under one leader.

        One whose engine took more than 2 s over a message of raft's is not Reachable until the next (swarmkit, peer.setInactive).
        """
        listed = self.json(manager, "node", "ls")
        votes = sorted(entry["ManagerStatus"] for entry in listed if entry["ManagerStatus"])
        return (
            sorted(entry["Hostname"] for entry in listed) == sorted(names)
            and {entry["Status"] for entry in listed} == {"Ready"}
            and votes == ["Leader", *["Reachable"] * (len(votes) - 1)]
        )

    def await_standing(self, *names: str, manager: str = "manager-b") -> None:
        """Wait until it `stands`."""
        self.until(lambda: self.stands(*names, manager=manager), f"{manager} lists {', '.join(names)} as Ready")

    def has_volume(self, name: str) -> bool:
        return any(volume.name == name for volume in self._engine.volumes.list())

    def cluster_id(self, manager: str = "manager-a") -> str:
        return self.on(manager, "docker", "info", "--format", "{{.Swarm.Cluster.ID}}")

    def leader(self, manager: str = "manager-a") -> str:
        return next(name for name, entry in self.nodes(manager).items() if entry["ManagerStatus"] == "Leader")

    def state(self, node: str) -> str:
        return self.on(node, "docker", "info", "--format", "{{.Swarm.LocalNodeState}}")

    def containers(self, node: str) -> frozenset[str]:
        """IDs of the running containers of a node."""
        return frozenset(self.on(node, "docker", "ps", "--no-trunc", "--quiet").split())

    def machines(self) -> dict[str, str]:
        """The IDs of the node containers by name, and when their volumes were made."""
        found = {str(container.name): str(container.id) for container in self._engine.containers.list(all=True)}
        return {**found, **{str(v.name): str(v.attrs["CreatedAt"]) for v in self._engine.volumes.list()}}

    def picture(self, manager: str = "manager-a") -> Picture:
        ids = [entry["ID"] for entry in self.json(manager, "node", "ls")]
        inspected = {entry["ID"]: entry for entry in self.json(manager, "node", "inspect", *ids)}
        return Picture(
            cluster_id=self.cluster_id(manager),
            nodes={
                node_id: {
                    "Hostname": entry["Description"]["Hostname"],
                    **{key: entry["Spec"].get(key) for key in NODE_KEYS},
                }
                for node_id, entry in inspected.items()
            },
            objects={
                "services": {s["ID"]: (s["Name"], s["Mode"], s["Image"]) for s in self.json(manager, "service", "ls")},
                "secrets": {s["ID"]: s["Name"] for s in self.json(manager, "secret", "ls")},
                "configs": {c["ID"]: c["Name"] for c in self.json(manager, "config", "ls")},
                "networks": {
                    n["ID"]: n["Name"] for n in self.json(manager, "network", "ls", "--filter", "scope=swarm")
                },
            },
            containers={worker: self.containers(worker) for worker in WORKERS},
        )

    def run_workload(self) -> None:
        """A replicated and a global service on an overlay network, with a secret and a config; returns once it runs."""
        self.load_workload()
        self.create_workload()

    def load_workload(self) -> None:
        """Have the image of the services on the workers."""
        for node in nodes.existing(self.lab):
            if node.name in WORKERS:
                workload.load_workload(self.lab, node.address)

    def create_workload(self) -> None:
        """The services of `run_workload`, whose image is on the workers; returns once they run."""
        on = self.on
        on("manager-a", "docker", "network", "create", "--driver", "overlay", "--attachable", "backend")
        on(
            "manager-a",
            "sh",
            "-c",
            "echo one | docker secret create password - && echo two | docker config create motd -",
        )
        common = ["--detach", "--network", "backend", "--secret", "password", "--config", "motd", "--no-resolve-image"]
        for name, mode in (("web", ["--replicas", "3"]), ("agent", ["--mode", "global"])):
            on(
                "manager-a",
                "docker",
                "service",
                "create",
                *common,
                "--name",
                name,
                *mode,
                workload.REFERENCE,
                "sleep",
                "1000000",
            )
        self.until(lambda: sum(len(self.containers(worker)) for worker in WORKERS) == 5, "five tasks run")

    def until(self, condition: Any, what: str, *, passing: bool = False) -> None:
        """Wait for it; a command that fails meanwhile, as without a leader, is asked again. What is ``passing`` is looked at often."""
        end, failed, pause = time.monotonic() + SECONDS, "", PAUSE
        while True:
            try:
                if condition():
                    return
            except AssertionError as error:
                failed = str(error)
            assert time.monotonic() < end, f"not within {SECONDS} s: {what}\n{self.listed()}\n{failed}"
            time.sleep(pause)
            pause = PAUSE if passing else min(pause * 1.5, LONGEST_PAUSE)

    def listed(self) -> str:
        """The nodes as each manager lists them, to understand a failure by."""
        return "\n".join(f"{name}:\n{self.on(name, 'docker', 'node', 'ls', check=False)}" for name in MANAGERS)
