"""The state on which managers agree, and the log of each. The values are frozen, so that machines can share them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Self


class RaftViolation(AssertionError):
    """The code under test did what makes two leaders, loses entries or confuses identities in a real swarm."""


@dataclass(frozen=True)
class Voter:
    """A raft member: its node, and its address, which does not change."""

    node_id: str
    address: str


@dataclass(frozen=True)
class Entry:
    """One entry of the node list in the log. The log does not hold which nodes are up."""

    node_id: str
    hostname: str
    address: str
    role: str
    availability: str = "active"
    labels: Mapping[str, str] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True)
class State:
    """The state after all entries of a log."""

    cluster_id: str
    nodes: Mapping[str, Entry] = field(default_factory=dict)
    voters: Mapping[int, Voter] = field(default_factory=dict)
    configs: Mapping[str, int] = field(default_factory=dict)
    """The versions of configs by ID."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    spec_version: int = 0
    rotated: Mapping[str, int] = field(default_factory=dict)
    """How often the join token of a role was made anew."""
    removed: frozenset[str] = frozenset()

    def raft_id(self, node_id: str) -> int | None:
        """The raft ID under which a node votes."""
        return next((raft_id for raft_id, voter in self.voters.items() if voter.node_id == node_id), None)

    def with_node(self, entry: Entry, version: int) -> Self:
        return replace(self, nodes={**self.nodes, entry.node_id: replace(entry, version=version)})

    def without_node(self, node_id: str) -> Self:
        nodes = {key: entry for key, entry in self.nodes.items() if key != node_id}
        return replace(self, nodes=nodes, removed=self.removed | {node_id})

    def with_voter(self, raft_id: int, voter: Voter) -> Self:
        return replace(self, voters={**self.voters, raft_id: voter})

    def without_voter(self, node_id: str) -> Self:
        return replace(self, voters={key: voter for key, voter in self.voters.items() if voter.node_id != node_id})

    @property
    def versions(self) -> dict[str, int]:
        """The versions of all objects by ID."""
        nodes = {entry.node_id: entry.version for entry in self.nodes.values()}
        return {**nodes, **self.configs, "swarm": self.spec_version}


@dataclass(frozen=True)
class LogEntry:
    """A raft entry: its position, and the state after it."""

    term: int
    index: int
    state: State


@dataclass(frozen=True)
class Raft:
    """One manager's raft directory.

    ``commit`` is the newest index that is committed on disk. A member writes it only with its next entry.
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
        """The value by which raft compares candidates."""
        return self.last.term, self.last.index

    def followed(self, log: tuple[LogEntry, ...]) -> Self:
        """Return this member after it wrote its leader's log.

        All entries except the last are then committed on disk.
        """
        return type(self)(self.raft_id, log, max(self.commit, log[-1].index - 1))
