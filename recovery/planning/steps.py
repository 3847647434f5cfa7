"""The steps that plans are made of: what each does, and what makes it safe to take, and to take again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from recovery.swarm.machines import Node

if TYPE_CHECKING:
    from recovery.settings import Settings


class Action(StrEnum):
    """What a step does."""

    FOUND = "found"
    REBUILD = "rebuild"
    SAVE = "save"
    UNLOCK = "unlock"
    FORCE = "force"
    LEAVE = "leave"
    RESTORE = "restore"
    JOIN = "join"
    READDRESS = "readdress"
    REDIRECT = "redirect"
    PROVE = "prove"


@dataclass(frozen=True)
class Step:
    """One step, and what makes it safe to take, and to take again."""

    action: Action
    node: str
    effect: str
    precondition: str
    postcondition: str
    repeatable: bool = True


def found(node: Node) -> Step:
    """A new swarm: the only step that must not be taken twice."""
    return Step(
        Action.FOUND,
        node.name,
        f"found the swarm at {node.address}",
        "no node is in a swarm and S3 holds no copy of this cluster",
        "it leads a swarm of its own",
        repeatable=False,
    )


def rebuild(name: str) -> Step:
    """The machine, by the host driver."""
    effect, before = "make the machine again at its address", "the machine is known to be lost"
    return Step(Action.REBUILD, name, effect, before, "its engine answers")


def save(names: str) -> Step:
    """Every survivor's log, before anything else happens to it."""
    return Step(
        Action.SAVE,
        names,
        "take a safety copy",
        "no manager has a leader",
        "S3 holds the log of every survivor",
    )


def force(node: Node) -> Step:
    """A new cluster from a survivor's own log."""
    return Step(
        Action.FORCE,
        node.name,
        f"force a new cluster from its own log at {node.address}",
        "no manager address answers with a leader; no manager is silent; nobody holds more",
        "it leads the same swarm",
    )


def restore(node: Node, copy: str, cluster_id: str) -> Step:
    """A new cluster from a copy; ``copy`` is its name and how it came to be the one."""
    return Step(
        Action.RESTORE,
        node.name,
        f"restore the swarm from {copy}, and force a new cluster at {node.address}",
        "no manager address answers with a leader; the copy is whole; the engine is in no swarm",
        f"it leads swarm {cluster_id} with everything the copy lists",
    )


def unlock(name: str) -> Step:
    """A manager that waits for its key."""
    effect, before = "unlock it with the key in escrow", "it is locked, and a key in escrow opens its key file"
    return Step(Action.UNLOCK, name, effect, before, "it follows a leader")


def leave(names: str) -> Step:
    """Survivors that another one went on without, all at once: none of them has a vote that would be missed."""
    return Step(
        Action.LEAVE,
        names,
        "leave the old log",
        "S3 holds the log of each; the new cluster has a leader, and none of them votes in it",
        "they are in no swarm",
    )


def rejoin(name: str) -> Step:
    """A survivor that has left."""
    return Step(
        Action.JOIN,
        name,
        "rejoin under its own identity",
        "the swarm has a leader and this manager has no vote in it",
        "it is Ready under one entry",
    )


def join(node: Node) -> Step:
    """A machine that is in no swarm."""
    effect = (
        "rejoin under its own identity where a copy of it serves, else join as a new"
        if node.role == "manager"
        else "join as a"
    )
    return Step(
        Action.JOIN,
        node.name,
        f"{effect} {node.role}",
        "the swarm has a leader; the engine is in no swarm",
        "it is Ready under one entry",
    )


def finish(name: str) -> Step:
    """What an earlier run left half done."""
    return Step(
        Action.JOIN,
        name,
        "finish its return: leave a log of before a forced new cluster, take its role, drop old entries",
        "the swarm has a leader",
        "it is Ready under one entry",
    )


def readdress(name: str) -> Step:
    """A manager that the raft log has at the address that it had before."""
    return Step(
        Action.READDRESS,
        name,
        "take its vote and give it back: the log keeps the address of before until then",
        "another manager votes beside it, reached by a detour until now",
        "every manager finds it at its new address",
    )


def redirect(name: str) -> Step:
    """A worker that knows only addresses where no manager is any more."""
    return Step(
        Action.REDIRECT,
        name,
        "lead it to the managers' new addresses; its containers run on",
        "the swarm has a leader; it is a worker of it and knows only addresses where no manager is",
        "it is Ready under its own identity",
    )


def prove(what: str) -> Step:
    """The last one of each recovery."""
    return Step(Action.PROVE, "swarm", f"take fresh copies; prove: {what}", "every node joined", "the update says so")


def rebuilds(gone: Sequence[Node], settings: Settings) -> tuple[Step, ...]:
    """Containers are made again; existing machines are there, or they are named lost and left alone."""
    return () if settings.hosts.driver == "existing" else tuple(rebuild(node.name) for node in gone)
