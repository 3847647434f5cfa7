"""The steps of plans: the effect of each step, and what is true after it. `planning.objections` decides when it may be taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from recovery.swarm.machines import Node


class Action(StrEnum):
    """What a step does."""

    FOUND = "found"
    REBUILD = "rebuild"
    SAVE = "save"
    UNLOCK = "unlock"
    OPEN = "open"
    REPAIR = "repair"
    FORCE = "force"
    RESTORE = "restore"
    COMPARE = "compare"
    LOCK = "lock"
    LEAVE = "leave"
    ASIDE = "aside"
    JOIN = "join"
    READDRESS = "readdress"
    REDIRECT = "redirect"
    DEMOTE = "demote"
    PROVE = "prove"


@dataclass(frozen=True)
class Step:
    """One step: its effect on a node, what is true after it, and whether it may be repeated."""

    action: Action
    node: str
    effect: str
    postcondition: str
    repeatable: bool = True
    gives_quorum: bool = False
    """Whether the step gives the swarm its quorum. These steps come before the steps that bring nodes back."""


def for_quorum(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps, marked as steps that give the swarm its quorum."""
    return tuple(replace(step, gives_quorum=True) for step in steps)


def found(node: Node) -> Step:
    """Create a new swarm. Only this step must not be taken twice."""
    effect, after = f"create the swarm at {node.address}", "it leads the new swarm"
    return Step(Action.FOUND, node.name, effect, after, repeatable=False)


def rebuild(name: str) -> Step:
    """Make a machine that does not exist, through the host driver."""
    return Step(Action.REBUILD, name, "make its machine", "its engine answers")


def save(name: str) -> Step:
    """Copy a survivor's log before anything else happens to it."""
    return Step(Action.SAVE, name, "take a safety copy", "S3 holds its log")


def keep(name: str) -> Step:
    """Copy a manager's swarm directory to a place next to it, before anything else happens to it."""
    return Step(Action.SAVE, name, "keep a safety copy next to its swarm directory", "its disk holds the safety copy")


def repair(name: str, end: str) -> Step:
    """Replace a survivor's damaged log by a repaired one; ``end`` is where that ends."""
    effect = f"put a repaired log in place that ends at {end}, keep the damaged log on its disk, and restart its Docker engine"
    return Step(Action.REPAIR, name, effect, "it is in no swarm, and a new cluster can be forced from its log")


def force(node: Node) -> Step:
    """Force a new cluster from a survivor's own log."""
    effect = f"force a new cluster from its own log at {node.address}"
    return Step(Action.FORCE, node.name, effect, "it leads the same swarm")


def restore(node: Node, copy: str, cluster_id: str) -> Step:
    """Restore the swarm from a copy; ``copy`` is its name and why it is used."""
    effect = f"restore the swarm from {copy}, and force a new cluster at {node.address}"
    return Step(Action.RESTORE, node.name, effect, f"it leads swarm {cluster_id}")


def compare(name: str) -> Step:
    """Compare a restored swarm with its copy."""
    effect = "compare the restored swarm with the copy. If it differs, leave it"
    return Step(Action.COMPARE, name, effect, "the swarm has its ID and everything that the copy lists")


def unlock(name: str) -> Step:
    """Unlock a manager that waits for its unlock key."""
    return Step(Action.UNLOCK, name, "unlock it with the key in escrow", "it follows a leader")


def open_key_file(name: str) -> Step:
    """Open the key file of a locked survivor. Docker cannot force a new cluster from a locked manager (moby#36852)."""
    effect = "open its key file with the unlock key in escrow, so that a new cluster can be forced from it"
    return Step(Action.OPEN, name, effect, "its engine needs no unlock key")


def unlock_with(name: str) -> Step:
    """Unlock the only manager of its swarm with the operator's key."""
    return Step(Action.UNLOCK, name, "unlock it with the unlock key that you give", "it leads its swarm")


def open_with(name: str) -> Step:
    """As `open_key_file`, with the operator's key."""
    effect = "open its key file with the unlock key that you give, so that a new cluster can be forced from it"
    return Step(Action.OPEN, name, effect, "its engine needs no unlock key")


def lock(name: str, *, escrow: bool = True) -> Step:
    """Switch autolock on again. A forced new cluster has it off. Without ``escrow``, nobody keeps the new key."""
    after = "the new unlock key is in escrow" if escrow else "the engine tells the new unlock key"
    return Step(Action.LOCK, name, "switch autolock on again, with a new unlock key", after)


def leave(name: str) -> Step:
    """Let a survivor without a vote in the forced new cluster leave its old swarm."""
    return Step(Action.LEAVE, name, "leave the old swarm state", "it is in no swarm")


def leave_damaged(name: str) -> Step:
    """Have a manager leave that cannot use its damaged log, while the others have the quorum."""
    return Step(Action.LEAVE, name, "give up its damaged log and leave the swarm", "it is in no swarm")


def leave_unlisted(name: str) -> Step:
    """Let a worker leave a swarm that does not list it. Its tasks are no tasks of that swarm."""
    effect = "leave the swarm, which does not list it. The containers of services on it are removed"
    return Step(Action.LEAVE, name, effect, "it is in no swarm")


def set_aside(name: str) -> Step:
    """Move an old log aside, so that its engine can join."""
    return Step(Action.ASIDE, name, "move its old log aside, and keep it on its disk", "its engine can join")


def rejoin(name: str) -> Step:
    """Join a survivor that has left its old swarm."""
    return Step(Action.JOIN, name, "rejoin under its own identity", "it is Ready under one entry")


def join(node: Node, *, new: bool = False) -> Step:
    """Join a machine that is in no swarm; ``new`` says that the swarm never had it."""
    known = node.role == "manager" and not new
    effect = "rejoin under its own identity if a good copy holds it, else join as a new" if known else "join as a"
    return Step(Action.JOIN, node.name, f"{effect} {node.role}", "it is Ready under one entry")


def finish(name: str) -> Step:
    """Finish the return of a node that an earlier run interrupted."""
    return Step(
        Action.JOIN, name, "finish its return: take its role and remove its old entries", "it is Ready under one entry"
    )


def detour(name: str, manager: str) -> Step:
    """Let a manager reach another manager whose old address is in the raft log (`recovery.steps.redirect.SECONDS`)."""
    effect = f"redirect its connections from the old address of {manager} to the new one, for five minutes"
    return Step(Action.REDIRECT, name, effect, f"it reaches {manager}")


def readdress(name: str) -> Step:
    """Take a manager's vote, because the raft log still has its old address."""
    effect = "take its vote, so that the log no longer has its old address"
    return Step(Action.READDRESS, name, effect, "it is a worker of the swarm")


def give_vote(name: str) -> Step:
    """Give a manager its vote back at its new address."""
    return Step(
        Action.JOIN, name, "give its vote back at its new address", "every manager reaches it at its new address"
    )


def redirect(name: str) -> Step:
    """Direct a worker that knows only old addresses to the managers."""
    effect = "direct it to the managers' new addresses. Its containers keep running"
    return Step(Action.REDIRECT, name, effect, "it is Ready under its own identity")


def demote(name: str) -> Step:
    """Demote a worker that was promoted as a stand-in for a manager."""
    return Step(Action.DEMOTE, name, "demote it, because every manager is back", "it is a worker")


def prove_alone(name: str, *, tried: bool = False) -> Step:
    """Prove the swarm of one manager, without a fresh copy; ``tried`` says that it came up in the sandbox before."""
    effect = "prove: it leads the same swarm" + (
        ", which holds everything that came up in the sandbox" if tried else ""
    )
    return Step(Action.PROVE, name, effect, "the proof holds")


def prove(what: str) -> Step:
    """Take fresh copies and prove the cluster: the last step of each recovery."""
    return Step(Action.PROVE, "swarm", f"take fresh copies, then prove: {what}", "the proof holds")
