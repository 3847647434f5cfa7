"""The Docker API of a fake machine, with the part that `recovery.node.engine.Engine` uses."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import docker.types
import requests
from docker.errors import APIError, DockerException

from recovery.node.writes import merged
from recovery.swarm.model import LocalState
from tests.fake.machine import Machine
from tests.fake.quorum import NoAnswer, SwarmError
from tests.fake.raft import Entry, State

if TYPE_CHECKING:
    from tests.fake.wires import Wires


LEADERLESS_SECONDS = 20
"""The seconds for which a manager looks for a leader before it answers without one."""


def no_answer(what: str) -> Exception:
    return requests.exceptions.ReadTimeout(what)


class FakeApi:
    """Replaces `docker.APIClient`. The name of the socket is the machine's address."""

    def __init__(self, wires: "Wires", base_url: str, timeout: float = 60) -> None:
        self._wires = wires
        self._timeout = timeout
        self._address = base_url.rsplit("/", 1)[-1]
        self._machine()

    def _machine(self) -> Machine:
        self._wires.require_alive()
        machine = self._wires.swarm.machines[self._address]
        if not machine.answers:
            raise DockerException(f"{machine.name} does not answer")
        if machine.halted:
            raise DockerException(f"the engine of {machine.name} does not run")
        return machine

    @contextmanager
    def _asked(self) -> Iterator[Machine]:
        try:
            yield self._machine()
        except SwarmError as error:
            raise APIError(str(error), explanation=str(error)) from None
        except NoAnswer as error:
            raise no_answer(str(error)) from None

    @contextmanager
    def _written(self, what: str) -> Iterator[Machine]:
        with self._asked() as machine, self._wires.effect(f"{machine.name}: {what}", no_answer):
            yield machine

    # Requests that read

    def info(self) -> dict[str, Any]:
        machine = self._machine()
        swarm: dict[str, Any] = {"LocalNodeState": str(machine.state), "NodeID": "", "ControlAvailable": False}
        if machine.state is LocalState.ERROR:
            fault = "no space left on device" if machine.full else "walpb: crc mismatch"
            swarm["Error"] = f"manager stopped: can't initialize raft node: irreparable WAL error: {fault}"
        elif machine.in_swarm and machine.directory:
            leader = self._wires.swarm.leader_of(machine)
            swarm["NodeID"] = machine.directory.node_id
            swarm["ControlAvailable"] = machine.raft is not None
            known = zip_longest(machine.directory.remotes, machine.directory.peers, fillvalue="")
            if machine.raft:
                known = ((voter.address, voter.node_id) for voter in machine.raft.last.state.voters.values())
            swarm["RemoteManagers"] = [{"Addr": f"{address}:2377", "NodeID": node_id} for address, node_id in known]
            if machine.raft and leader:
                swarm["Cluster"] = {"ID": machine.directory.cluster_id, "Spec": self._state(machine).spec}
            elif machine.raft:
                if self._wires.swarm.slow and self._timeout < LEADERLESS_SECONDS:
                    machine.busy_until = self._wires.clock + LEADERLESS_SECONDS
                    raise no_answer("Read timed out.")
                swarm["Error"] = "rpc error: code = Unknown desc = The swarm does not have a leader."
        elif machine.searching:
            if self._timeout < LEADERLESS_SECONDS:
                raise no_answer("Read timed out.")
            machine.searching = False
        return {
            "Swarm": swarm,
            "ServerVersion": machine.engine,
            "DockerRootDir": "/var/lib/docker",
            "Name": machine.name,
        }

    def nodes(self) -> list[dict[str, Any]]:
        with self._asked() as machine:
            state, leader = self._state(machine), self._wires.swarm.leader_of(machine)
            assert leader
            followers = self._wires.swarm.followers(leader)
            return [self._node(leader, followers, state, entry) for entry in state.nodes.values()]

    def inspect_node(self, node_id: str) -> dict[str, Any]:
        entries = [entry for entry in self.nodes() if entry["ID"] == node_id]
        if not entries:
            raise APIError(f"node {node_id} not found", explanation=f"node {node_id} not found")
        return entries[0]

    def services(self) -> list[dict[str, Any]]:
        return []

    def tasks(self, filters: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
        if "node" not in filters:
            return []
        with self._asked() as machine:
            self._state(machine)
            there = [m for m in self._wires.swarm.machines.values() if m.node_id in filters["node"]]
            return [{"NodeID": m.node_id, "Status": {"State": "running"}} for m in there for _ in range(m.tasks)]

    def secrets(self) -> list[dict[str, Any]]:
        return []

    def networks(self, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        return []

    def configs(self) -> list[dict[str, Any]]:
        with self._asked() as machine:
            configs = self._state(machine).configs
            return [{"ID": key, "Version": {"Index": index}} for key, index in configs.items()]

    def inspect_swarm(self) -> dict[str, Any]:
        with self._asked() as machine:
            state = self._state(machine)
            tokens = {role.capitalize(): self._wires.swarm.token(state, role) for role in ("manager", "worker")}
            version = {"Index": state.spec_version}
            return {"ID": state.cluster_id, "Version": version, "Spec": state.spec, "JoinTokens": tokens}

    def create_swarm_spec(self, **options: Any) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = docker.types.SwarmSpec("1.41", **options)
        return spec

    # Requests that change

    def init_swarm(
        self, *, force_new_cluster: bool = False, swarm_spec: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        if force_new_cluster:
            with self._written("force a new cluster") as machine:
                self._let_answer(machine)
                self._wires.swarm.force(machine, swarm_spec or {})
        else:
            with self._written("found a swarm") as machine:
                self._wires.swarm.init(machine, merged({"Name": "default"}, swarm_spec or {}))

    def join_swarm(self, *, remote_addrs: Sequence[str], join_token: str, **_: Any) -> None:
        with self._written("join") as machine:
            self._wires.swarm.join(machine, list(remote_addrs), join_token)

    def leave_swarm(self, *, force: bool) -> None:
        assert force
        with self._written("leave") as machine:
            self._let_answer(machine)
            self._wires.swarm.leave(machine)

    def unlock_swarm(self, key: str) -> None:
        with self._written("unlock") as machine:
            if machine.key is None or machine.key.text != key:
                raise SwarmError("swarm could not be unlocked: invalid key provided")
            machine.state = LocalState.ACTIVE

    def update_node(self, node_id: str, version: int, spec: Mapping[str, Any]) -> None:
        with self._written(f"update {node_id} to {spec['Role']} {spec['Availability']}") as machine:
            entry = self._state(machine).nodes[node_id]
            changed = replace(entry, role=spec["Role"], availability=spec["Availability"], labels=spec["Labels"])
            self._wires.swarm.update(machine, node_id, version, changed)

    def remove_node(self, node_id: str, *, force: bool) -> None:
        assert force
        with self._written(f"remove {node_id}") as machine:
            self._wires.swarm.remove(machine, node_id)

    def update_swarm(
        self,
        *,
        version: int,
        swarm_spec: Mapping[str, Any],
        rotate_worker_token: bool = False,
        rotate_manager_token: bool = False,
    ) -> None:
        with self._written("change the swarm's options") as machine:
            state = self._state(machine)
            if version != state.spec_version:
                raise SwarmError("update out of sequence")
            new = {"worker": rotate_worker_token, "manager": rotate_manager_token}
            rotated = {role: state.rotated.get(role, 0) + wanted for role, wanted in new.items()}
            self._wires.swarm.change(
                machine, lambda state, index: replace(state, spec=swarm_spec, spec_version=index, rotated=rotated)
            )

    def create_config(self, name: str, data: bytes) -> dict[str, str]:
        """Create a config. Only tests do so, and it does not count as an effect of the code under test."""
        with self._asked() as machine:
            self._wires.swarm.change(
                machine, lambda state, index: replace(state, configs={**state.configs, f"config-{name}": index})
            )
        return {"ID": f"config-{name}"}

    def close(self) -> None:
        pass

    def _let_answer(self, machine: Machine) -> None:
        """Wait until the engine has answered earlier requests, which hold a lock (moby, daemon/cluster)."""
        self._wires.clock = max(self._wires.clock, machine.busy_until)

    def _state(self, machine: Machine) -> State:
        if machine.raft is None:
            raise SwarmError("This node is not a swarm manager.")
        return self._wires.swarm.state_of(machine)

    def _node(self, leader: Machine, followers: list[Machine], state: State, entry: Entry) -> dict[str, Any]:
        machine = self._wires.swarm.machines.get(entry.address)
        here = machine if machine and machine.in_swarm and machine.node_id == entry.node_id else None
        raft_id = state.raft_id(entry.node_id)
        left_behind = here and here.directory and (here.directory.left_behind == 1 or (here.raft and raft_id is None))
        hears = here is not None and (
            self._wires.swarm.finds(here, leader) if here.raft is None else leader.reaches(here)
        )
        ready = (
            hears
            and here
            and here.state is not LocalState.ERROR
            and here.reports
            and not left_behind
            and not self._wires.swarm.unheard
        )
        found: dict[str, Any] = {
            "ID": entry.node_id,
            "Version": {"Index": entry.version},
            "Description": {"Hostname": entry.hostname},
            "Status": {"State": "ready" if ready else "down", "Addr": entry.address},
            "Spec": {"Role": entry.role, "Availability": entry.availability, "Labels": dict(entry.labels)},
        }
        if raft_id is not None:
            found["ManagerStatus"] = {
                "Leader": entry.node_id == leader.node_id,
                "Reachability": "reachable" if here in followers else "unreachable",
                "Addr": f"{state.voters[raft_id].address}:2377",
            }
        return found
