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
    """Give each manager that was forced at a new address its vote there, beside another manager that joins by a detour."""
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
                "it can get its vote at the new address only beside a second manager, and no other manager answers",
                remedy="start the machine of another manager, in no swarm, then run the same command again",
                node=name,
                code="second-manager-needed",
            )
        with Shell(others[0], settings.ssh) as shell:
            detour(shell, {entry.raft_address: node.address})
        join.ensure(settings, others[0], say=say)
        revote(settings, node, others[0], say=say)


def revote(settings: Settings, node: Node, through: Node, *, say: Callable[[str], None]) -> None:
    """Take the vote of a manager at a new address and give it back, so that the log has that address.

    ``through`` is another manager that votes. The node becomes a worker before it is promoted: otherwise its engine would
    wait about 30 s (swarmkit, node: roleChangeTimeout).

    Raises: Refused when the quorum would not survive; ProofFailed; EngineError; TransportError.
    """
    doing = f"moving {node.name} to {node.address}"
    with Shell(through, settings.ssh) as beside, Shell(node, settings.ssh) as here:
        chief = Engine(beside)
        entry = next((entry for entry in chief.members() if entry.is_misplaced(node)), None)
        if entry is None:
            return
        with journal.step(settings, Action.READDRESS, node.name, say):
            say(f"giving {node.name} its vote again, at {node.address}")
            # The other manager answers the requests that its engine sends to its own old address.
            detour(here, {entry.raft_address: through.address})
            demote(chief, entry, here)
            with chief.short_log():
                chief.update_member(entry.node_id, role="manager")
                found = f"it does not vote at {node.address}"
                await_entry(
                    chief, entry.node_id, lambda now: now.reachable and not now.is_misplaced(node), doing, found
                )
