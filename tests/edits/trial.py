"""Runs an edit on the fake swarm, and compares what became of the machines with what the oracle expects."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncssh

from recovery.cluster import Cluster
from recovery.operations import lifecycle
from recovery.settings import parse
from tests.edits.edits import MANAGERS, add, both, drop, with_id
from tests.edits.files import HOST, HOST_ADDRESS, SPARES, Base, Edit, File, Raw, State, base, edited, lost
from tests.edits.oracle import Expected, expected
from tests.edits.results import Result
from tests.fake.engine import FakeApi
from tests.fake.raft import Entry
from tests.fake.raft import State as LogState
from tests.fake.stack import Done, Held, Stack
from tests.fake.swarm import Swarm
from tests.fake.wires import Killed, Strike, Wires, wired
from tests.unit import factories as make

CONFIG = "early"
"""A config that is in every copy."""
AWAY = Edit(
    "its second manager is another machine",
    both(drop(MANAGERS, 1), add(MANAGERS, SPARES[0], names=("delta",))),
    Base.NAMED,
)
ROUNDS = 3
TRIES = 3


@dataclass(frozen=True)
class Picture:
    """A healthy cluster with its copies and the state of its stack, kept as a template."""

    swarm: Swarm
    objects: dict[str, bytes]
    state: dict[str, Held]
    file: File


@dataclass(frozen=True)
class Begin:
    """A swarm with a leader before an update."""

    index: int
    """The index of the last entry of the log."""
    dead: frozenset[int]
    """The raft members that do not answer."""
    leader: str
    """The leader's node ID."""

    @classmethod
    def of(cls, swarm: Swarm) -> "Begin | None":
        """How it is now; None without a leader."""
        leader = swarm.lives()
        if leader is None or leader.raft is None:
            return None
        alive = {machine.raft.raft_id for machine in swarm.followers(leader) if machine.raft}
        return cls(leader.raft.last.index, frozenset(leader.raft.last.state.voters.keys() - alive), leader.node_id)

    def spare(self, state: LogState) -> int:
        """How many managers that answer could be lost besides."""
        return len(state.voters.keys() - self.dead) - (len(state.voters) // 2 + 1)


class Stage:
    """Builds clusters from stack files, and makes losses and edits happen to them."""

    def __init__(self, wires: Wires, common: Raw) -> None:
        self.wires = wires
        self._common = common
        self._built: dict[Base, Picture] = {}

    def run(self, edit: Edit, state: State) -> Result:
        """Lose managers, change the file, run an update and look at what became of it; then run a second one."""
        picture = self.build(edit.base)
        after = edited(edit, picture.file)
        stack = self.lose(picture, state)
        wanted, before = expected(edit, state, picture.file, after), node_ids(picture.swarm)
        there = node_ids(self.wires.swarm)
        begun = Begin.of(self.wires.swarm)
        done = stack.up(after.values, consent=True)
        result = Result(edit.name, state, done.code, done.operations, len(_steps(done)))
        if wanted.refusal or done.failure:
            result.faults += _refusal(wanted, done, there, node_ids(self.wires.swarm))
        else:
            result.faults += self._ended(wanted, before, there)
            result.faults += self._meanwhile(wanted, done, begun, before)
            again = stack.up(after.values)
            if again.failure or again.operations or again.effects:
                what = again.failure.splitlines()[:1] or again.operations or again.effects
                result.faults.append(f"a second update: {what}")
        return result

    def interrupt(self, edit: Edit, strike: Strike, *, back: bool) -> tuple[bool, list[str]]:
        """Strike an update of a healthy swarm, and run it again, or go ``back`` to the file of before. Whether it was struck, and all faults."""
        picture = self.build(edit.base)
        file = edited(edit, picture.file)
        stack, begun, before = self.lose(picture, State.HEALTHY), Begin.of(self.wires.swarm), node_ids(picture.swarm)
        stack.strike, done = strike, Done()
        with suppress(Killed):
            done = stack.up(file.values)
        stack.strike, effects = None, list(self.wires.effects)
        met = len(effects) >= strike.at
        if met:
            for _ in range(ROUNDS):
                self.wires.swarm.pass_time()
            wanted = picture.file if back else file
            for _ in range(TRIES):
                done = stack.up(wanted.values)
                effects += done.effects
                if not done.failure:
                    break
        if done.failure:
            return met, [f"not finished: {done.failure}"]
        if back and met:
            faults = [*self.wires.swarm.violations, *least_of(self.wires.swarm, begun)]
            ends = expected(edit, State.HEALTHY, file, picture.file)
            # One that joined in the moment of the strike is in no state: it stays, and is named.
            left = sorted(address for address in ends.left if self.wires.swarm.machines[address].in_swarm)
            faults += [f"{_short([a])} is not named" for a in left if not any(f" {a} " in line for line in done.log)]
            faults += [] if left else self._ended(ends, before, before)
        else:
            ends = expected(edit, State.HEALTHY, picture.file, file)
            faults = self._ended(ends, before, before)
            faults += self._meanwhile(ends, replace(done, effects=effects), begun, before)
        again = stack.up((picture.file if back and met else file).values)
        return met, faults + (
            [f"once more: {again.failure or again.operations}"] if again.failure or again.operations else []
        )

    def build(self, kind: Base) -> Picture:
        """The cluster of a file before an edit."""
        if kind not in self._built:
            file, wires = base(kind, self._common), self.wires
            wires.swarm, wires.objects = Swarm(strict=False), {}
            wires.hostnames = {HOST: file.address(HOST_ADDRESS)}
            for node in (*file.managers, *file.workers, *({"address": file.address(last)} for last in SPARES)):
                wires.swarm.make(f"host-{node['address'].rpartition('.')[2]}", node["address"])
            stack = Stack(wires)
            if kind is Base.RETURNING:
                _require(stack.up(edited(AWAY, file).values))
            _require(stack.up(file.values))
            file.cluster_id = wires.swarm.founded[0]
            if kind is Base.ADOPTED:
                with_id(file)
                _require(stack.up(file.values))
            leader = wires.swarm.lives()
            assert leader
            FakeApi(wires, f"unix:///fake/{leader.address}").create_config(CONFIG, b"")
            for _ in range(ROUNDS):
                wires.swarm.pass_time()  # workers learn of all managers
            lifecycle.fresh_copies(Cluster(parse(file.values)), say=lambda _: None)
            self._built[kind] = Picture(wires.swarm, wires.objects, stack.state, file)
        return self._built[kind]

    def lose(self, picture: Picture, state: State) -> Stack:
        """Put an empty machine in the place of each lost one. Returns the stack."""
        wires = self.wires
        wires.swarm, wires.objects = picture.swarm.clone(), dict(picture.objects)
        swarm = wires.swarm
        addresses = lost(state, [node["address"] for node in picture.file.managers])
        for address in addresses:
            swarm.lose(swarm.machines[address].name)
        for _ in range(ROUNDS):
            swarm.pass_time()
        for address in addresses:
            swarm.make(swarm.machines[address].name, address)
        leader = swarm.lives()
        swarm.spare = swarm.spare_of(leader) if leader else 0
        return Stack(wires, picture.state)

    def _ended(self, wanted: Expected, before: dict[str, str], there: dict[str, str]) -> list[str]:
        """How the swarm differs from what must be so in the end."""
        swarm = self.wires.swarm
        for _ in range(ROUNDS):
            swarm.pass_time()
        leader = swarm.lives()
        if leader is None:
            return ["nobody leads"]
        state, now = swarm.state_of(leader), node_ids(swarm)
        faults = [f"a swarm was founded: {swarm.founded}"] if len(swarm.founded) > 1 else []
        voters = {machine.address for machine in swarm.followers(leader)}
        if voters != wanted.managers or len(state.voters) != len(wanted.managers):
            faults.append(f"{_short(voters)} vote, and not {_short(wanted.managers)}")
        listed = sorted(entry.address for entry in state.nodes.values())
        if listed != sorted(wanted.nodes):
            faults.append(f"listed are {_short(listed)}, and not {_short(wanted.nodes)}")
        faults += [f"{_short([a])} is another node" for a in sorted(wanted.kept) if now.get(a) != before[a]]
        faults += [f"{_short([a])} is in the swarm" for a in wanted.left if swarm.machines[a].in_swarm]
        for entry in state.nodes.values():
            faults += _entry_faults(wanted, entry)
            if now.get(entry.address) != entry.node_id:
                faults.append(f"{_short([entry.address])} has an entry that is not its machine's")
        if f"config-{CONFIG}" not in state.configs:
            faults.append("a config is gone")
        return faults

    def _meanwhile(self, wanted: Expected, done: Done, begun: Begin | None, before: dict[str, str]) -> list[str]:
        """What must not have happened on the way."""
        swarm = self.wires.swarm
        faults = list(swarm.violations)
        stays = {before[address]: address for address in wanted.stays}
        names = {swarm.machines[address].name: address for address in wanted.stays}
        for what in done.effects:
            name, _, act = what.partition(": ")
            if name in names and act in ("leave", "join", "force a new cluster"):
                faults.append(f"{_short([names[name]])} stays, and did: {act}")
            if act.startswith("remove ") and act.removeprefix("remove ") in stays:
                faults.append(f"{_short([stays[act.removeprefix('remove ')]])} stays, and was removed")
        faults += _copied(wanted, done.effects, before | node_ids(swarm), swarm)
        return faults + (_on_the_way(swarm, wanted, begun, before) if begun else [])


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage whose files name a key and host keys that are there."""
    with TemporaryDirectory(prefix="requorum-edits-") as folder, wired() as wires:
        yield Stage(wires, _common(Path(folder)))


def _common(folder: Path) -> Raw:
    """What every stack file has."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    for name in ("key", "key-moved"):
        key.write_private_key(str(folder / name))
    hosts = [*(f"10.77.1.{last}" for last in range(1, 100)), HOST]
    pinned = key.export_public_key().decode()
    (folder / "known_hosts").write_text("".join(f"{host} {pinned}" for host in hosts))
    ssh = {"privateKeyFile": str(folder / "key"), "knownHostsFile": str(folder / "known_hosts")}
    return {**make.raw(), "hosts": {"driver": "existing"}, "ssh": ssh}


def _require(done: Done) -> None:
    assert not done.failure, done.failure


def node_ids(swarm: Swarm) -> dict[str, str]:
    """The node ID of each machine in a swarm, by address."""
    return {machine.address: machine.node_id for machine in swarm.machines.values() if machine.in_swarm}


def _steps(done: Done) -> list[str]:
    """The changes of machines and of the swarm. An update of an entry right before a copy is written changes nothing."""
    return [
        what
        for what, then in pairwise([*done.effects, ""])
        if not what.startswith("S3: ") and not (": update node-" in what and then.startswith("S3: write"))
    ]


def _refusal(wanted: Expected, done: Done, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """How a refusal differs from the one that must be."""
    faults = []
    if done.code != wanted.refusal or not done.failure:
        what = f"refused: {done.code or done.failure.splitlines()[0]}" if done.failure else "not refused"
        faults.append(f"{what}, and not {wanted.refusal or 'done'}")
    if done.effects:
        faults.append(f"refused after {len(done.effects)} effects, first {done.effects[0]}")
    if before != after:
        faults.append("refused, and nodes are others")
    return faults


def _entry_faults(wanted: Expected, entry: Entry) -> list[str]:
    where = _short([entry.address])
    role = "manager" if entry.address in wanted.managers else "worker"
    faults = [] if entry.role == role else [f"{where} is a {entry.role}"]
    availability = wanted.availability.get(entry.address, entry.availability)
    if entry.availability != availability:
        faults.append(f"{where} is {entry.availability}, and not {availability}")
    labels = wanted.labels.get(entry.address, {})
    if not labels.items() <= entry.labels.items():
        faults.append(f"{where} has the labels {dict(entry.labels)}")
    return faults


def _on_the_way(swarm: Swarm, wanted: Expected, begun: Begin, before: dict[str, str]) -> list[str]:
    """Which managers that stay lost their vote on the way, and where the quorum had too little to spare.

    The leader's log tells. A machine that joins counts from the entry on that gives it its vote.
    """
    leader = swarm.lives()
    assert leader
    assert leader.raft
    states = [entry.state for entry in leader.raft.log if entry.index >= begun.index]
    taken, given, changed = Counter[str](), Counter[str](), set[str]()
    for one, other in pairwise(states):
        taken.update(_voting(one) - _voting(other))
        given.update(_voting(other) - _voting(one))
        changed |= _changed(one, other)
    loyal = {before[address]: address for address in wanted.loyal}
    faults = [f"{_short([loyal[node_id]])} lost its vote on the way" for node_id in sorted(taken.keys() & loyal.keys())]
    faults += [f"{node_id} got or lost its vote twice" for node_id, count in (taken | given).items() if count > 1]
    if further := changed - wanted.changing:
        faults.append(f"{_short(further)} did not have to change, and did on the way")
    faults += least_of(swarm, begun)
    took = leader.raft.last.term - next(entry.term for entry in leader.raft.log if entry.index == begun.index)
    places = {node_id: address for address, node_id in before.items()}
    # A leader that becomes a worker may hand over to a manager that leaves afterwards.
    most = (
        0
        if places[begun.leader] in wanted.managers
        else 2
        if places[begun.leader] in wanted.workers and wanted.left
        else 1
    )
    if took > most:
        faults.append(f"the lead changed {took} times")
    if swarm.spare < (-1 if len(states[0].voters) == 1 else 0):  # two of two are a quorum
        faults.append("the quorum needed a machine that only joined")
    return faults


def least_of(swarm: Swarm, begun: Begin | None) -> list[str]:
    """Where the quorum had less to spare on the way than one manager, and than before or after."""
    leader = swarm.lives()
    if not begun or not leader or not leader.raft:
        return ["nobody leads"]
    spares = [begun.spare(entry.state) for entry in leader.raft.log if entry.index >= begun.index]
    if min(spares) >= min(spares[0], spares[-1], 1):
        return []
    return [f"the quorum had {min(spares)} to spare on the way, {spares[0]} before and {spares[-1]} after"]


def _copied(wanted: Expected, effects: list[str], ids: dict[str, str], swarm: Swarm) -> list[str]:
    """Whether a copy was taken before the first other manager votes, and one of each manager after the last change."""
    joins = {f"{swarm.machines[address].name}: join" for address in wanted.other_votes}
    becomes = {
        address: "manager" if address in wanted.managers else "worker" for address in wanted.other_votes & ids.keys()
    }
    roles = tuple(f": update {ids[address]} to {role}" for address, role in becomes.items())
    votes = [place for place, what in enumerate(effects) if what in joins or any(role in what for role in roles)]
    copies = [
        place for place, what in enumerate(effects) if what.startswith("S3: write swarm-") and what.endswith(".json")
    ]
    if not votes:
        return []
    faults = [] if [place for place in copies if place < votes[0]] else ["no copy was taken before the votes changed"]
    settled = max(
        place for place, what in enumerate(effects) if ": remove " in what or what in joins or place == votes[0]
    )
    after = [place for place in copies if place > settled]
    return faults + ([] if len(after) >= len(wanted.managers) else [f"{len(after)} copies were taken afterwards"])


def votes_of(swarm: Swarm, begun: Begin) -> list[tuple[int, int, int]]:
    """Each change of the votes since then: how many there were, how many there are, and what the quorum tolerates then."""
    leader = swarm.lives()
    assert leader
    assert leader.raft
    states = [entry.state for entry in leader.raft.log if entry.index >= begun.index]
    changes = [(one, other) for one, other in pairwise(states) if one.voters.keys() != other.voters.keys()]
    return [(len(one.voters), len(other.voters), begun.spare(other)) for one, other in changes]


def _voting(state: LogState) -> set[str]:
    return {voter.node_id for voter in state.voters.values()}


def _changed(one: LogState, other: LogState) -> set[str]:
    """The machines whose entries came, went or changed. A new version alone, as for a copy, is no change."""
    was, now = ({e.node_id: replace(e, version=0) for e in state.nodes.values()} for state in (one, other))
    return {(now.get(key) or was[key]).address for key in was.keys() | now.keys() if was.get(key) != now.get(key)}


def _short(addresses: Any) -> str:
    """The last numbers of addresses."""
    return " ".join(f".{address.rpartition('.')[2]}" for address in sorted(addresses)) or "nobody"
