"""What managers agree on and what each has on disk: frozen values, so that a fake machine is copied by reference."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Self


class RaftViolation(AssertionError):
    """Something was done that a real swarm answers with two leaders, lost entries or a confused identity."""


@dataclass(frozen=True)
class Voter:
    """A raft member: its node, and the address that it has for life."""

    node_id: str
    address: str


@dataclass(frozen=True)
class Entry:
    """One entry of the swarm's node list as the log has it; who is up is not in the log."""

    node_id: str
    hostname: str
    address: str
    role: str
    availability: str = "active"
    labels: Mapping[str, str] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True)
class State:
    """What a log amounts to."""

    cluster_id: str
    nodes: Mapping[str, Entry] = field(default_factory=dict)
    voters: Mapping[int, Voter] = field(default_factory=dict)
    configs: Mapping[str, int] = field(default_factory=dict)
    """ID to version."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    spec_version: int = 0
    removed: frozenset[str] = frozenset()

    def raft_id(self, node_id: str) -> int | None:
        """The raft ID under which a node votes."""
        return next((raft_id for raft_id, voter in self.voters.items() if voter.node_id == node_id), None)

    def with_node(self, entry: Entry, version: int) -> Self:
        return replace(self, nodes={**self.nodes, entry.node_id: replace(entry, version=version)})

    def without_node(self, node_id: str) -> Self:
        left = {key: entry for key, entry in self.nodes.items() if key != node_id}
        return replace(self, nodes=left, removed=self.removed | {node_id})

    def with_voter(self, raft_id: int, voter: Voter) -> Self:
        return replace(self, voters={**self.voters, raft_id: voter})

    def without_voter(self, node_id: str) -> Self:
        return replace(self, voters={key: voter for key, voter in self.voters.items() if voter.node_id != node_id})

    @property
    def versions(self) -> dict[str, int]:
        """Every object's version by ID."""
        nodes = {entry.node_id: entry.version for entry in self.nodes.values()}
        return {**nodes, **self.configs, "swarm": self.spec_version}


@dataclass(frozen=True)
class LogEntry:
    """A raft entry: where it stands, and the state it leads to."""

    term: int
    index: int
    state: State


@dataclass(frozen=True)
class Raft:
    """One manager's raft directory.

    ``commit`` is the newest index that is committed on disk: a member writes it down only with its next entry.
    """

    raft_id: int
    log: tuple[LogEntry, ...]
    commit: int = 0

    def __post_init__(self) -> None:
        assert all(after.index == before.index + 1 for before, after in pairwise(self.log[-2:])), "a log has no holes"

    @property
    def last(self) -> LogEntry:
        return self.log[-1]

    @property
    def reach(self) -> tuple[int, int]:
        """Raft's order of candidates."""
        return self.last.term, self.last.index

    def followed(self, log: tuple[LogEntry, ...]) -> Self:
        """This member after it wrote its leader's log: all but the last entry is then committed on disk."""
        return type(self)(self.raft_id, log, max(self.commit, log[-1].index - 1))
