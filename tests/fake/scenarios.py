"""Scenarios of what engines do. They run on the fake in tests/unit, and on real engines in tests/lab.

Each scenario begins with three machines that are in no swarm.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import pytest

from recovery.copies import snapshot
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Manifest
from recovery.errors import EngineError
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.s3.sealing import Identities
from recovery.settings import Settings
from recovery.steps import swarm_directory
from recovery.steps.redirect import detour
from recovery.survey.nodes import ask
from recovery.swarm.entries import Member
from recovery.swarm.machines import SwarmOptions
from recovery.swarm.model import LocalState, NodeReport

A, B, C = "manager-a", "manager-b", "manager-c"


class Machines(Protocol):
    """The machines of the settings' managers, and their faults."""

    settings: Settings

    def lose(self, *names: str) -> None:
        """Destroy machines and their disks."""

    def make(self, *names: str) -> None:
        """Make empty machines in place of lost ones."""

    def move(self, *names: str) -> None:
        """Make empty machines for lost ones at other addresses. The settings then have these addresses."""

    def isolate(self, name: str) -> None:
        """Disconnect a machine from the network."""

    def heal(self, name: str) -> None:
        """Connect a machine to the network again."""

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition is true. Raises: AssertionError if the wait takes too long."""

    def breaking(self, rule: str) -> AbstractContextManager[None]:
        """Expect that the context breaks a rule of raft. Real engines accept the context. The fake reports the rule."""


Scenario = Callable[[Machines, Path], None]


@contextmanager
def engine(machines: Machines, name: str) -> Iterator[Engine]:
    with Shell(machines.settings.node(name), machines.settings.ssh) as shell:
        yield Engine(shell)


def report(machines: Machines, name: str) -> NodeReport:
    with Shell(machines.settings.node(name), machines.settings.ssh) as shell:
        return ask(shell)


def members(machines: Machines, asked: str) -> dict[str, Member]:
    """The node list of one manager, by host name, or by ID if a name is listed twice."""
    with engine(machines, asked) as at:
        listed = at.members()
    names = [member.hostname for member in listed]
    return {m.hostname if names.count(m.hostname) == 1 else m.node_id: m for m in listed}


def found(machines: Machines, name: str = A) -> str:
    """Create a swarm of one manager. Returns its ID."""
    with engine(machines, name) as at:
        at.init(SwarmOptions())
    return report(machines, name).cluster_id


def ask_to_join(machines: Machines, name: str, remote: str = A) -> None:
    """Ask an engine to join as a manager, or under its present identity.

    After 20 s the engine continues in the background.
    """
    with engine(machines, remote) as chief, engine(machines, name) as at:
        at.join([machines.settings.node(remote)], chief.join_token("manager"))


def join(machines: Machines, name: str, remote: str = A) -> str:
    """Ask an engine to join, and wait until it has joined. Returns the node ID."""
    ask_to_join(machines, name, remote)
    with engine(machines, name) as at:
        machines.until(lambda: bool(at.info()["Swarm"].get("NodeID")), f"{name} has joined")
        return str(at.info()["Swarm"]["NodeID"])


def three(machines: Machines) -> tuple[str, dict[str, str]]:
    """Create a swarm of three managers. Returns its ID, and the node IDs."""
    cluster = found(machines)
    ids = {A: report(machines, A).node_id, B: join(machines, B), C: join(machines, C)}
    machines.until(lambda: voters(machines, A) == {A, B, C}, "three are reachable")
    machines.until(
        lambda: all(member.ready for member in members(machines, A).values()), "and nothing is written any more"
    )
    return cluster, ids


def voters(machines: Machines, asked: str) -> set[str]:
    return {name for name, member in members(machines, asked).items() if member.votes and member.reachable}


def label(machines: Machines, asked: str, node_id: str, text: str) -> None:
    """Commit one entry with a label that a test can recognize."""
    with engine(machines, asked) as at:
        at.update_member(node_id, labels={text: "yes"})


def copy(machines: Machines, name: str, archive: Path, *, settled: bool = True) -> Manifest:
    """Take a copy as `requorum backup` does. Without ``settled``, copy only the present files."""
    node = machines.settings.node(name)
    with Shell(node, machines.settings.ssh) as shell:
        sealed, recipients = archive.with_suffix(".age"), machines.settings.backup.recipients
        if settled:
            manifest = snapshot.take(shell, sealed, recipients=recipients, keep=Escrow(machines.settings).keep)
        else:
            manifest = snapshot.take_leaderless(shell, sealed, bytes, recipients=recipients)
    Identities(machines.settings.backup.identity_file, setting="backup.identityFile").unseal_file(sealed, archive)
    return manifest


def put(machines: Machines, name: str, archive: Path, manifest: Manifest, part: str) -> None:
    with Shell(machines.settings.node(name), machines.settings.ssh) as shell:
        swarm_directory.place(shell, Engine(shell), archive, manifest, part, key=None)


def force(machines: Machines, name: str) -> None:
    with engine(machines, name) as at:
        at.force_new_cluster(None)


def founding_and_joining(machines: Machines, folder: Path) -> None:
    cluster, ids = three(machines)
    assert len(set(ids.values())) == 3
    for name in (A, B, C):
        seen = report(machines, name)
        assert (seen.cluster_id, seen.led, seen.raft) == (cluster, True, True)
        assert {hostname: member.node_id for hostname, member in members(machines, name).items()} == ids
    with pytest.raises(EngineError, match="already part of a swarm"):
        found(machines)


def without_a_quorum_nothing_is_agreed(machines: Machines, folder: Path) -> None:
    """Without a quorum, the swarm accepts no change.

    A forced survivor leads alone, and the others keep only their role.
    """
    cluster, ids = three(machines)
    label(machines, A, ids[A], "kept")
    label(machines, A, ids[A], "next")
    before = members(machines, A)
    machines.lose(C)
    machines.until(lambda: voters(machines, A) == {A, B}, "the loss is noticed")
    refused = pytest.raises(EngineError, match="quorum")
    refused = pytest.raises(EngineError, match="quorum")
    with machines.breaking("membership change without quorum"), engine(machines, A) as at, refused:
        at.update_member(ids[B], role="worker")
    machines.isolate(B)
    machines.until(lambda: not report(machines, A).led, "the leader has no quorum")
    force(machines, A)
    machines.until(lambda: report(machines, A).led, "it leads alone")
    assert report(machines, A).cluster_id == cluster
    after = members(machines, A)
    assert {name: member.node_id for name, member in after.items()} == ids
    assert (after[A].votes, after[A].leader) == (True, True)
    assert "kept" in after[A].labels
    for name in (B, C):
        assert (after[name].role, after[name].votes) == ("manager", False)
        assert after[name].labels == before[name].labels
    machines.heal(B)
    machines.until(lambda: report(machines, B).is_left_behind(report(machines, A)), "the other is left behind")
    assert voters(machines, A) == {A}


def a_demoted_leader_hands_over(machines: Machines, folder: Path) -> None:
    _, ids = three(machines)
    with engine(machines, C) as at:
        at.update_member(ids[A], role="worker")
    machines.until(lambda: not members(machines, C)[A].votes, "its vote is taken")
    machines.until(lambda: voters(machines, B) == {B, C}, "the others go on")
    assert [name for name, member in members(machines, B).items() if member.leader] in ([B], [C])
    machines.until(lambda: not report(machines, A).raft, "it throws its log away")


def a_second_swarm_is_founded_without_a_word(machines: Machines, folder: Path) -> None:
    first = found(machines, A)
    with machines.breaking("second swarm"):
        second = found(machines, B)
    with machines.breaking("second swarm"):
        force(machines, C)
    third = report(machines, C).cluster_id
    assert len({first, second, third}) == 3
    assert all(report(machines, name).led for name in (A, B, C))


def certificates_bring_a_node_back(machines: Machines, folder: Path) -> None:
    """After a node lost its vote, its certificates let it rejoin as a worker. A promotion makes it a manager again."""
    cluster, ids = three(machines)
    label(machines, A, ids[C], "mine")
    manifest = copy(machines, C, folder / "copy")
    machines.lose(C)
    machines.until(lambda: voters(machines, A) == {A, B}, "the loss is noticed")
    with engine(machines, A) as at:
        at.update_member(ids[C], role="worker")
    machines.until(lambda: not members(machines, A)[C].votes, "its vote is taken")
    machines.make(C)
    put(machines, C, folder / "copy", manifest, swarm_directory.CERTIFICATES)
    assert join(machines, C) == ids[C]
    machines.until(lambda: members(machines, A)[C].ready, "it is back")
    with engine(machines, A) as at:
        at.update_member(ids[C], role="manager")
    machines.until(lambda: voters(machines, A) == {A, B, C}, "it votes again")
    seen = report(machines, C)
    assert (seen.cluster_id, seen.node_id, seen.raft) == (cluster, ids[C], True)
    assert members(machines, A)[C].labels == {"mine": "yes"}


def a_hot_copy_brings_the_swarm_back(machines: Machines, folder: Path) -> None:
    """A hot copy brings the swarm back.

    The certificates of another manager bring this manager back, with its vote at once.
    """
    cluster, ids = three(machines)
    label(machines, A, ids[A], "copied")
    manifests = {name: copy(machines, name, folder / name) for name in (B, A)}
    label(machines, A, ids[A], "too-late")
    machines.lose(A, B, C)
    machines.make(A, B)
    put(machines, A, folder / A, manifests[A], swarm_directory.WHOLE)
    idle = report(machines, A)
    assert (idle.in_swarm, idle.raft) == (False, True), "a copy in place does nothing by itself"
    force(machines, A)
    machines.until(lambda: report(machines, A).led, "it leads")
    assert report(machines, A).cluster_id == cluster
    assert set(members(machines, A)[A].labels) == {"copied"}
    put(machines, B, folder / B, manifests[B], swarm_directory.CERTIFICATES)
    assert join(machines, B) == ids[B]
    machines.until(lambda: voters(machines, A) == {A, B}, "it votes")
    assert {name: member.node_id for name, member in members(machines, A).items()} == ids


def the_last_entry_is_dropped_unless_another_follows(machines: Machines, folder: Path) -> None:
    _, ids = three(machines)
    label(machines, A, ids[A], "first")
    labels, manifest = ["first"], copy(machines, A, folder / "copy", settled=False)
    for text in ("second", "third", "fourth"):  # a busy swarm may write more entries after it
        before = manifest.position.index
        label(machines, A, ids[A], text)
        labels.append(text)
        manifest = copy(machines, A, folder / "copy", settled=False)
        if manifest.position.index == before + 1:
            break
    assert manifest.position.index == before + 1, "it never was the last entry"
    assert manifest.position.commit < manifest.position.index
    machines.lose(A, B, C)
    machines.make(A)
    put(machines, A, folder / "copy", manifest, swarm_directory.WHOLE)
    force(machines, A)
    machines.until(lambda: report(machines, A).led, "it leads")
    assert set(members(machines, A)[A].labels) == set(labels[:-1])


def a_removed_identity_is_not_taken_back(machines: Machines, folder: Path) -> None:
    _, ids = three(machines)
    manifest = copy(machines, C, folder / "copy")
    machines.lose(C)
    machines.until(lambda: voters(machines, A) == {A, B}, "the loss is noticed")
    with engine(machines, A) as at:
        at.update_member(ids[C], role="worker")
        machines.until(lambda: not members(machines, A)[C].votes, "its vote is taken")
        at.remove_member(ids[C])
    machines.make(C)
    put(machines, C, folder / "copy", manifest, swarm_directory.CERTIFICATES)
    with suppress(EngineError):
        ask_to_join(machines, C)
    idle = (LocalState.INACTIVE, LocalState.ERROR)
    machines.until(lambda: report(machines, C).state in idle, "it is not taken")
    assert set(members(machines, A)) == {A, B}


def a_cluster_forced_elsewhere_keeps_its_address_until_its_vote_is_given_anew(machines: Machines, folder: Path) -> None:
    """Another manager finds the forced one only by a redirect. After a new vote, it needs no redirect."""
    cluster, ids = three(machines)
    before = machines.settings.node(A).address
    manifests = {name: copy(machines, name, folder / name) for name in (B, A)}
    machines.lose(A, B, C)
    machines.move(A, B)
    now = machines.settings.node(A)
    put(machines, A, folder / A, manifests[A], swarm_directory.WHOLE)
    force(machines, A)
    machines.until(lambda: report(machines, A).led, "it leads")
    entry = members(machines, A)[A]
    assert (entry.address, entry.raft_address) == (str(now.address), str(before))
    put(machines, B, folder / B, manifests[B], swarm_directory.CERTIFICATES)
    with Shell(machines.settings.node(B), machines.settings.ssh) as shell:
        detour(shell, {str(before): now.address})
    assert join(machines, B) == ids[B]
    machines.until(lambda: voters(machines, B) == {A, B}, "it votes")
    with Shell(now, machines.settings.ssh) as shell:
        detour(shell, {str(before): machines.settings.node(B).address})
    with engine(machines, B) as at:
        at.update_member(ids[A], role="worker")
        machines.until(lambda: not (members(machines, B)[A].votes or report(machines, A).raft), "it is a worker")
        at.update_member(ids[A], role="manager")
    machines.until(lambda: voters(machines, B) == {A, B}, "it votes again")
    assert members(machines, B)[A].raft_address == str(now.address)
    assert {report(machines, name).cluster_id for name in (A, B)} == {cluster}


SCENARIOS: tuple[Scenario, ...] = (
    founding_and_joining,
    without_a_quorum_nothing_is_agreed,
    a_demoted_leader_hands_over,
    a_second_swarm_is_founded_without_a_word,
    certificates_bring_a_node_back,
    a_hot_copy_brings_the_swarm_back,
    the_last_entry_is_dropped_unless_another_follows,
    a_removed_identity_is_not_taken_back,
    a_cluster_forced_elsewhere_keeps_its_address_until_its_vote_is_given_anew,
)
