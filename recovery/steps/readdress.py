"""Carries out READDRESS: gives a manager its vote anew at its new address."""

from collections.abc import Callable

from recovery.errors import Refused
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.planning.steps import Action
from recovery.progress import Say
from recovery.settings import Settings
from recovery.steps import join, journal
from recovery.steps.redirect import detour
from recovery.steps.votes import await_entry, demote
from recovery.swarm.machines import Node
from recovery.swarm.model import Reach, Survey


def readdress(settings: Settings, seen: Survey, say: Say) -> None:
    """Have the log take up where a new cluster was forced elsewhere: with the first other manager there is, which joins by a detour."""
    for name, entry in seen.misplaced.items():
        node = settings.node(name)
        others = [
            r.node
            for r in seen.managers
            if r.node != node and (r.in_swarm or r.known_lost) and r.reach is Reach.ANSWERS
        ]
        if not others:
            raise Refused(
                f"moving {name} to {node.address}",
                "no other manager answers, and only beside another one it can be given its vote anew",
                remedy="have the machine of another manager up, in no swarm; then run the same command again",
                node=name,
            )
        with Shell(others[0], settings.ssh) as shell:
            detour(shell, {entry.raft_address: node.address})
        join.ensure(settings, others[0], say=say)
        revote(settings, node, others[0], say=say)


def revote(settings: Settings, node: Node, through: Node, *, say: Callable[[str], None]) -> None:
    """Take a misplaced manager's vote and give it back, so that the log has it where it is. ``through`` votes beside it.

    Promoted before it has become a worker, a manager would wait some 30 s for that (swarmkit, node: roleChangeTimeout).

    Raises: Refused when the quorum would not survive; ProofFailed; EngineError; TransportError.
    """
    doing = f"moving {node.name} to {node.address}"
    with Shell(through, settings.ssh) as beside, Shell(node, settings.ssh) as here:
        chief = Engine(beside)
        entry = next((entry for entry in chief.members() if entry.is_misplaced(node)), None)
        if entry is None:
            return
        with journal.step(settings, Action.READDRESS, node.name, say):
            say(f"{node.name} is given its vote anew, at {node.address}")
            # What its engine would ask for at its own address of before is answered by the other manager.
            detour(here, {entry.raft_address: through.address})
            demote(chief, entry, here)
            with chief.short_log():
                chief.update_member(entry.node_id, role="manager")
                found = f"it does not vote at {node.address}"
                await_entry(
                    chief, entry.node_id, lambda now: now.reachable and not now.is_misplaced(node), doing, found
                )
