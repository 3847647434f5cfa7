"""A swarm of fake machines, as the commands of their engines change it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from recovery.swarm import rotation
from recovery.swarm.model import LocalState
from recovery.swarm.presence import Presence
from recovery.swarm.raft import quorum
from tests.fake.machine import Directory, Machine
from tests.fake.quorum import NoAnswer, Quorum, SwarmError
from tests.fake.raft import Entry, LogEntry, Raft, State, Voter

BOOT_ROUNDS = 3
"""The rounds that a machine takes to boot."""


class Swarm(Quorum):
    """The machines of one cluster, and the commands of their engines."""

    def init(self, machine: Machine, spec: Mapping[str, Any]) -> None:
        """Do `docker swarm init`: create a new swarm."""
        if machine.in_swarm:
            raise SwarmError("This node is already part of a swarm.")
        assert machine.directory is None, "the fake does not model an init with leftover files"
        self._found(machine, self._new("cluster"), spec)

    def force(self, machine: Machine, spec: Mapping[str, Any]) -> None:
        """Do `docker swarm init --force-new-cluster`: lead alone with the machine's log.

        Without a log, create a new swarm. If the request counts other rotations of the CA than the log, the CA is rotated.
        """
        directory = machine.directory
        if directory is None or directory.raft is None:
            self._found(machine, directory.cluster_id if directory else self._new("cluster"), {})
            return
        if machine.state is LocalState.ERROR:
            raise SwarmError("This node is not a swarm manager.")
        if directory.good is not None:
            raise SwarmError("can't initialize raft node: irreparable WAL error: walpb: crc mismatch")
        if self.lives():
            self.violate("second swarm founded while one lives: a new cluster is forced")
        machine.state = LocalState.ACTIVE
        cluster, raft = directory.cluster_id, directory.raft
        kept = tuple(entry for entry in raft.log if entry.index <= raft.commit)
        before = kept[-1].state
        if rotation.count(spec) != rotation.count(before.spec):
            self.violate(f"{machine.name} forces a new cluster, and so rotates the CA")
        # The vote keeps its earlier address. If the entry of its own vote is dropped, the manager gets a vote again
        # (swarmkit, manager/state/raft: createConfigChangeEnts).
        itself = before.voters.get(raft.raft_id, Voter(directory.node_id, machine.address))
        alone = replace(before, voters={raft.raft_id: itself})
        here = replace(before.nodes[directory.node_id], address=machine.address)
        alone = alone.with_node(here, here.version)
        self._ledger[cluster] = kept
        self._written = {key: index for key, index in self._written.items() if key[0] != cluster}
        machine.directory = replace(directory, raft=Raft(raft.raft_id, kept, raft.commit), engine_state=True)
        self._leaders[cluster] = machine.address
        forced = (*kept, LogEntry(raft.last.term + 1, kept[-1].index + 1, alone))
        self._commit(cluster, forced)
        self._write(machine, forced)

    def _found(self, machine: Machine, cluster: str, spec: Mapping[str, Any]) -> None:
        if self.lives():
            self.violate("second swarm founded while one lives")
        node_id = machine.directory.node_id if machine.directory else self._new("node")
        raft_id = self._new_number()
        entry = Entry(node_id, machine.name, machine.address, "manager")
        state = State(cluster, {node_id: entry}, {raft_id: Voter(node_id, machine.address)}, spec=spec)
        log = (LogEntry(1, 1, state),)
        machine.state = LocalState.ACTIVE
        machine.directory = Directory(node_id, cluster, Raft(raft_id, log))
        self.founded += (cluster,)
        self._leaders[cluster] = machine.address
        self._ledger[cluster] = ()
        self._commit(cluster, log)

    def join(self, machine: Machine, remotes: list[str], token: str) -> None:
        """Do `docker swarm join`, under the present identity of the machine or a new one."""
        if machine.in_swarm:
            raise SwarmError("This node is already part of a swarm.")
        remote = self.machines.get(remotes[0].rsplit(":", 1)[0])
        leader = self.leader_of(remote) if remote and remote.reaches(machine) else None
        if leader is None or leader.raft is None:
            raise NoAnswer("Timeout was reached before node joined.")
        state = leader.raft.last.state
        role = next((role for role in ("manager", "worker") if token == self.token(state, role)), None)
        if role is None:
            raise SwarmError("invalid join token")
        directory = machine.directory
        if directory:
            self._require_usable(machine, directory, state)
        node_id = directory.node_id if directory else self._new("node")
        entry = state.nodes.get(node_id) or Entry(node_id, machine.name, machine.address, role)
        machine.directory = Directory(node_id, state.cluster_id, remotes=(remotes[0].rsplit(":", 1)[0],))
        machine.state = LocalState.ACTIVE
        self.commit(leader, lambda state, index: state.with_node(replace(entry, address=machine.address), index))
        if entry.role == "manager":
            if self.at(machine, self._raft_address(leader)) is not leader:
                self.violate(f"lost quorum: {machine.name} joins and does not reach {leader.name} where the log has it")
            self._give_vote(leader, machine)

    def _require_usable(self, machine: Machine, directory: Directory, state: State) -> None:
        """Report a violation if the identity on a machine must not join the living swarm."""
        if directory.cluster_id != state.cluster_id:
            raise SwarmError("x509: certificate signed by unknown authority")
        if directory.node_id in state.removed or directory.node_id not in state.nodes:
            raise SwarmError("node was removed from the swarm")
        if directory.raft:
            self.violate(f"old raft log beside a live quorum: {machine.name} joins with one")
        if state.raft_id(directory.node_id) is not None:
            self.violate(f"old raft ID beside an empty log: {machine.name} joins before its vote is taken")
        if self._running(directory.node_id):
            self.violate(f"identity used twice: {directory.node_id}")

    def leave(self, machine: Machine) -> None:
        """Do `docker swarm leave --force`: empty the directory. The entry stays."""
        if not machine.in_swarm:
            raise SwarmError("This node is not part of a swarm")
        machine.searching = self.slow and self.leader_of(machine) is None
        machine.state, machine.directory = LocalState.INACTIVE, None

    def remove(self, machine: Machine, node_id: str) -> None:
        """Do `docker node rm --force`."""
        state = self.state_of(machine)
        if node_id not in state.nodes:
            raise SwarmError(f"node {node_id} not found")
        if state.raft_id(node_id) is not None:
            raise SwarmError(f"node {node_id} is a cluster manager and is a member of the raft cluster.")
        self.change(machine, lambda state, _: state.without_node(node_id))

    def update(self, machine: Machine, node_id: str, version: int, entry: Entry) -> None:
        """Do `docker node update`. Refuse if another write came first, or the quorum would not survive."""
        state, leader = self.state_of(machine), self.leader_of(machine)
        assert leader
        if state.nodes[node_id].version != version:
            raise SwarmError("rpc error: code = Unknown desc = update out of sequence")
        demoted = entry.role == "worker" and state.raft_id(node_id) is not None
        if demoted and self._spare_without(leader, self._running(node_id)) < 0:
            self.violate("membership change without quorum")
            raise SwarmError("can't remove member from the raft: this would result in a loss of quorum")
        self.change(machine, lambda state, index: state.with_node(entry, index))

    def boot_again(self, machine: Machine) -> None:
        """Switch a running machine off. It is on again after some rounds. The other managers must be there, and hold the quorum."""
        self.require_others(machine)
        self.require_empty(machine)
        machine.presence, machine.absent, machine.boots = Presence.STOPPED, BOOT_ROUNDS, machine.boots + 1

    def require_others(self, machine: Machine) -> None:
        """Report a violation if a machine goes away for a while although another manager is away, or the quorum needs it."""
        leader = self.lives()
        if leader is None or leader.raft is None or machine.raft is None:
            return
        voters, there = leader.raft.last.state.voters, self.followers(leader)
        if len(there) < len(voters) or leader.raft.raft_id not in voters:
            self.violate(f"two managers away at once: {machine.name} goes")
        if len(voters) > 2 and len(there) - 1 < quorum(len(voters)):
            self.violate(f"the quorum is lost: {machine.name} goes")

    def require_empty(self, machine: Machine) -> None:
        """Report a violation if tasks run on a machine that goes away."""
        if machine.tasks:
            self.violate(f"{machine.tasks} tasks run: {machine.name} goes")

    def token(self, state: State, role: str) -> str:
        return f"SWMTKN-{state.cluster_id}-{role}" + (f"-{count}" if (count := state.rotated.get(role)) else "")
