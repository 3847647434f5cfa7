"""Fake machines and their raft: it keeps raft's rules, and reports a violation if the code under test breaks one.

`pass_time` does what swarmkit does in the background (elections, stepping down, giving and taking votes).
"""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any, Self

from recovery.swarm.model import LocalState
from recovery.swarm.presence import Presence
from recovery.swarm.raft import quorum
from tests.fake.machine import Cut, Machine
from tests.fake.raft import LogEntry, Raft, RaftViolation, State, Voter

Change = Callable[[State, int], State]
"""A function from a state and an object's version to the next state.

The version is the commit index before it (GetVersion).
"""


SESSION_ROUNDS = 40
"""The rounds, of at least a second, in which nodes find a new leader. The leader waits six heartbeats, 60 s."""


class SwarmError(Exception):
    """The engine refuses a request, in its own words."""


class NoAnswer(Exception):
    """The engine does not answer in time."""


NO_LEADER = "rpc error: code = Unknown desc = The swarm does not have a leader."


class Quorum:
    """Every machine of one cluster by address. Lists all violations. With ``strict``, also raises them."""

    def __init__(self, series: str = "", *, strict: bool = True, orphans_forget: bool = False) -> None:
        self._series = series
        self.strict = strict
        self.orphans_forget = orphans_forget
        """Whether a manager that a forced new cluster left behind learns of it and deletes its log."""
        self.slow = False
        """Whether managers without a leader answer late."""
        self.unheard = 0
        """The rounds until the nodes have connected to a new leader."""
        self.machines: dict[str, Machine] = {}
        self.violations: tuple[str, ...] = ()
        self.founded: tuple[str, ...] = ()
        self.spare = 0
        """The smallest reserve of the quorum after any change of voters: reachable voters less needed voters."""
        self._leaders: dict[str, str] = {}
        self._ledger: dict[str, tuple[LogEntry, ...]] = {}
        self._written: dict[tuple[str, int], int] = {}
        """The newest committed index that each raft ID of a cluster has written to disk."""
        self._made = 0

    def clone(self) -> Self:
        """Return an independent copy of this swarm."""
        other = copy(self)
        other.machines = {address: copy(machine) for address, machine in self.machines.items()}
        for name in ("_leaders", "_ledger", "_written"):
            setattr(other, name, dict(getattr(self, name)))
        return other

    def violate(self, what: str) -> None:
        """Record a broken rule. Raises: RaftViolation if the swarm is strict."""
        self.violations += (what,)
        if self.strict:
            raise RaftViolation(what)

    # Machines

    def make(self, name: str, address: str, *, marked: str = "") -> Machine:
        """Make an empty machine, in place of any earlier one."""
        self.machines[address] = Machine(name, address, self._new("machine"), marked=marked)
        return self.machines[address]

    def named(self, name: str) -> Machine:
        return next(machine for machine in self.machines.values() if machine.name == name)

    @property
    def identities(self) -> dict[str, str]:
        """The node ID of every machine that is in a swarm, by name."""
        return {machine.name: machine.node_id for machine in self.machines.values() if machine.in_swarm}

    def lose(self, name: str) -> None:
        """Remove the machine and its disk."""
        machine = self.named(name)
        machine.presence, machine.state, machine.directory = Presence.GONE, LocalState.INACTIVE, None

    def stop(self, name: str) -> None:
        self.named(name).presence = Presence.STOPPED

    def start(self, name: str) -> None:
        """Boot a machine. Its engine continues in the swarm of its directory."""
        machine = self.named(name)
        machine.presence = Presence.PRESENT
        machine.state = self._started(machine)

    @staticmethod
    def _started(machine: Machine) -> LocalState:
        """The state of an engine that starts. Without its own state file it is in no swarm; with a damaged log it fails."""
        if machine.directory is None or not machine.directory.engine_state:
            return LocalState.INACTIVE
        failed = machine.directory.raft and machine.directory.good is not None
        return LocalState.ERROR if failed or machine.full else LocalState.ACTIVE

    def damage(self, name: str, *, lost: int) -> None:
        """Flip a byte so many entries before the end of a machine's log, with its engine off; then start that again."""
        machine = self.named(name)
        assert machine.directory
        assert machine.directory.raft
        good = max(machine.directory.raft.last.index - lost, 0)
        machine.directory = replace(machine.directory, good=good)
        machine.state, machine.halted = self._started(machine), machine.doomed
        self._leaders = {key: address for key, address in self._leaders.items() if address != machine.address}

    def fill(self, name: str) -> None:
        """Fill a machine's disk, so that its raft member stops."""
        machine = self.named(name)
        machine.full, machine.state = True, LocalState.ERROR

    def restart(self, machine: Machine) -> None:
        """Restart an engine. It then listens for gossip and reports. If it is locked, it waits for its key."""
        machine.gossips = machine.reports = True
        machine.halted = machine.doomed
        started = self._started(machine)
        machine.state = LocalState.LOCKED if machine.key and started is LocalState.ACTIVE else started
        if machine.directory and self._leaders.get(machine.directory.cluster_id) == machine.address:
            del self._leaders[machine.directory.cluster_id]
            self.unheard = SESSION_ROUNDS

    def reboot(self) -> None:
        """Switch every running machine off and on."""
        for machine in self.machines.values():
            if machine.up:
                self.start(machine.name)
        self._leaders.clear()

    def cut(self, name: str, whom: Cut) -> None:
        self.named(name).cut = whom

    # Leaders

    def leader_of(self, machine: Machine) -> Machine | None:
        """The leader that a machine reaches, in the machine's own swarm."""
        directory = machine.directory
        if not machine.in_swarm or directory is None or machine.state is LocalState.ERROR:
            return None
        leader = self.machines.get(self._leaders.get(directory.cluster_id, ""))
        if leader is None or leader.raft is None or not leader.reaches(machine):
            return None
        if directory.raft and directory.raft.raft_id not in leader.raft.last.state.voters:
            return None
        if directory.raft and machine is not leader and self.at(machine, self._raft_address(leader)) is not leader:
            return None
        return leader

    def at(self, machine: Machine, address: str) -> Machine | None:
        """The machine that answers another machine at an address, also by a redirect."""
        return self.machines.get(machine.detours.get(address, address))

    def _raft_address(self, leader: Machine) -> str:
        """The address of a leader in the log."""
        assert leader.raft
        return leader.raft.last.state.voters[leader.raft.raft_id].address

    def followers(self, machine: Machine) -> list[Machine]:
        """The voters in the machine's own log that the machine reaches, with itself."""
        assert machine.raft
        assert machine.directory
        peers = []
        for raft_id, voter in machine.raft.last.state.voters.items():
            peer = machine if raft_id == machine.raft.raft_id else self.at(machine, voter.address)
            if peer is None or peer.raft is None or peer.directory is None or peer.raft.raft_id != raft_id:
                continue
            if peer.directory.cluster_id == machine.directory.cluster_id and machine.reaches(peer):
                if peer.raft.last.index < self._written.get((peer.directory.cluster_id, raft_id), 0):
                    self.violate(f"lost committed entry: {peer.name} votes with an older log than it had")
                peers.append(peer)
        return peers

    def spare_of(self, leader: Machine) -> int:
        """The number of reachable voters beyond a leader's quorum. Negative without a quorum."""
        assert leader.raft
        return len(self.followers(leader)) - quorum(len(leader.raft.last.state.voters))

    def has_quorum(self, leader: Machine) -> bool:
        return self.spare_of(leader) >= 0

    def lives(self) -> Machine | None:
        """Any leader with a quorum, or None."""
        leaders = [self.machines[address] for address in self._leaders.values() if address in self.machines]
        return next((leader for leader in leaders if leader.raft and self.has_quorum(leader)), None)

    def pass_time(self) -> None:
        """Let one round of everything happen that swarmkit does in the background."""
        for machine in self.machines.values():
            if machine.absent:
                machine.absent -= 1
                if not machine.absent:
                    self.start(machine.name)
        for cluster, address in list(self._leaders.items()):
            leader = self.machines.get(address)
            if leader is None or leader.raft is None or not self.has_quorum(leader):
                del self._leaders[cluster]
        running = [machine for machine in self.machines.values() if machine.raft]
        for machine in sorted(running, key=lambda m: (m.raft.reach if m.raft else (), m.name), reverse=True):
            self._stand(machine)
        self.unheard -= self.unheard > 0
        for address in tuple(self._leaders.values()):
            self._end_tasks(self.machines[address])
            self._manage_roles(self.machines[address])
            self._spread(self.machines[address])
            self._tell_managers(self.machines[address])

    def _stand(self, machine: Machine) -> None:
        """Make this machine the leader, if a quorum would vote for it."""
        assert machine.raft
        assert machine.directory
        cluster, voters = machine.directory.cluster_id, machine.raft.last.state.voters
        if machine.raft.raft_id not in voters or self.leader_of(machine):
            return
        votes = [peer for peer in self.followers(machine) if peer.raft and peer.raft.reach <= machine.raft.reach]
        if len(votes) < quorum(len(voters)):
            return
        if cluster in self._leaders:
            self.violate(f"two leaders: {self._leaders[cluster]} and {machine.address} of {cluster}")
        self._leaders[cluster] = machine.address
        terms = [other.raft.last.term for other in votes if other.raft]
        self._append(machine, max(terms) + 1, machine.raft.last.state)

    def _manage_roles(self, leader: Machine) -> None:
        """Take and give votes by the roles of nodes, as swarmkit's role manager does."""
        assert leader.raft
        for entry in leader.raft.last.state.nodes.values():
            machine = self._running(entry.node_id)
            votes = leader.raft.last.state.raft_id(entry.node_id)
            if entry.role == "worker" and votes is not None and self._spare_without(leader, machine) >= 0:
                if machine is leader:
                    self._hand_over(leader)
                    return
                self.commit(leader, lambda state, _, node_id=entry.node_id: state.without_voter(node_id))
                if machine and machine.directory and leader.reaches(machine):
                    machine.directory = replace(machine.directory, raft=None, **self._managers(leader))
            if entry.role == "manager" and votes is None and machine and leader.reaches(machine) and machine.directory:
                waits = machine.directory.left_behind
                if waits or (machine.raft and self.orphans_forget):
                    machine.directory = replace(machine.directory, raft=None, left_behind=waits + 1)
                elif not machine.raft:
                    self._give_vote(leader, machine)

    def _end_tasks(self, leader: Machine) -> None:
        """End a task of each drained node that is up."""
        assert leader.raft
        drained = {e.node_id for e in leader.raft.last.state.nodes.values() if e.availability == "drain"}
        for machine in self.machines.values():
            machine.tasks -= machine.up and machine.tasks > 0 and machine.node_id in drained

    def _hand_over(self, leader: Machine) -> None:
        """Make another voter the leader. A demoted leader does so before it loses its vote."""
        assert leader.raft
        assert leader.directory
        heir = next(peer for peer in self.followers(leader) if peer is not leader)
        self._leaders[leader.directory.cluster_id] = heir.address
        self._append(heir, leader.raft.last.term + 1, leader.raft.last.state)

    def _running(self, node_id: str) -> Machine | None:
        running = (m for m in self.machines.values() if m.in_swarm and m.state is not LocalState.ERROR)
        return next((machine for machine in running if machine.node_id == node_id), None)

    def _spare_without(self, leader: Machine, gone: Machine | None) -> int:
        assert leader.raft
        peers = [peer for peer in self.followers(leader) if peer is not gone]
        return len(peers) - quorum(len(leader.raft.last.state.voters) - 1)

    def _give_vote(self, leader: Machine, machine: Machine) -> None:
        """Make a node a raft member, with a new raft ID and the leader's log."""
        assert machine.directory
        assert leader.raft
        raft_id = self._new_number()
        voter = Voter(machine.directory.node_id, machine.address)
        self.commit(leader, lambda state, _: state.with_voter(raft_id, voter))
        machine.directory = replace(machine.directory, raft=Raft(raft_id, leader.raft.log, leader.raft.commit))

    # The log

    def state_of(self, machine: Machine) -> State:
        """The state of the machine's leader. Raises: SwarmError if the machine reaches no leader."""
        leader = self.leader_of(machine)
        if leader is None or leader.raft is None:
            raise SwarmError(NO_LEADER)
        return leader.raft.last.state

    def change(self, machine: Machine, change: Change) -> None:
        """Commit a change that a machine was asked for.

        Raises: SwarmError without a leader; NoAnswer without a quorum.
        """
        leader = self.leader_of(machine)
        if leader is None:
            raise SwarmError(NO_LEADER)
        self.commit(leader, change)

    def commit(self, leader: Machine, change: Change) -> None:
        """Let a quorum write one more entry. Raises: NoAnswer without a quorum."""
        assert leader.raft
        if not self.has_quorum(leader):
            raise NoAnswer("context deadline exceeded")
        before = leader.raft.last.state.voters
        self._append(leader, leader.raft.last.term, change(leader.raft.last.state, leader.raft.last.index))
        if leader.raft.last.state.voters != before:
            self.spare = min(self.spare, self.spare_of(leader))
            if not self.has_quorum(leader) and len(before) > len(leader.raft.last.state.voters):
                self.violate("membership change without quorum")

    def write_unheard(self, name: str) -> None:
        """Let a leader write an entry only to its own disk. No other manager receives it, and it is not committed."""
        machine = self.named(name)
        assert machine.raft
        assert machine.directory
        raft = machine.raft
        entry = LogEntry(raft.last.term, raft.last.index + 1, raft.last.state)
        machine.directory = replace(machine.directory, raft=replace(raft, log=(*raft.log, entry)))

    def _append(self, leader: Machine, term: int, state: State) -> None:
        assert leader.raft
        assert leader.directory
        log = (*leader.raft.log, LogEntry(term, leader.raft.last.index + 1, state))
        self._commit(leader.directory.cluster_id, log)
        for peer in self.followers(leader):
            self._write(peer, log)

    def _spread(self, leader: Machine) -> None:
        """Bring followers that were cut off up to the leader's log."""
        if leader.raft:
            for peer in self.followers(leader):
                if peer is not leader and peer.raft and peer.raft.log != leader.raft.log:
                    self._write(peer, leader.raft.log)

    def _tell_managers(self, leader: Machine) -> None:
        """Give the nodes that find the leader the present addresses of the managers."""
        now = self._managers(leader)
        for machine in self.machines.values():
            if machine.directory and machine.directory.remotes and not machine.raft and self.finds(machine, leader):
                machine.directory = replace(machine.directory, **now)

    @staticmethod
    def _managers(leader: Machine) -> dict[str, Any]:
        """The addresses and IDs of the managers, which a manager knows too when it becomes a worker."""
        assert leader.raft
        voters = leader.raft.last.state.voters.values()
        return {"remotes": tuple(voter.address for voter in voters), "peers": tuple(voter.node_id for voter in voters)}

    def finds(self, machine: Machine, leader: Machine) -> bool:
        """Whether a node without a log finds the leader, through any of the managers that it knows."""
        if not (machine.in_swarm and machine.directory and leader.directory and leader.reaches(machine)):
            return False
        known = [self.at(machine, address) for address in machine.directory.remotes]
        if not known:
            return True
        ours = machine.directory.cluster_id == leader.directory.cluster_id
        return ours and any(
            peer and peer.raft and peer.reaches(machine) and self.leader_of(peer) is leader for peer in known
        )

    def _write(self, peer: Machine, log: tuple[LogEntry, ...]) -> None:
        assert peer.raft
        assert peer.directory
        self._written[peer.directory.cluster_id, peer.raft.raft_id] = log[-1].index
        peer.directory = replace(peer.directory, raft=peer.raft.followed(log))

    def _commit(self, cluster: str, log: tuple[LogEntry, ...]) -> None:
        known = self._ledger.get(cluster, ())
        if log[: len(known)] != known:
            self.violate(f"lost committed entry: {cluster} goes on from another log than it committed")
        self._ledger[cluster] = log

    def _new(self, kind: str) -> str:
        return f"{kind}-{self._series}{self._new_number()}"

    def _new_number(self) -> int:
        self._made += 1
        return self._made
