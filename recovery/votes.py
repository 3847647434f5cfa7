"""The managers' votes: taking one, only where the quorum survives that; giving one anew; and who has none."""

from collections.abc import Callable
from time import monotonic, sleep

from recovery import journal
from recovery.detour import detour
from recovery.engine import MENDS_SECONDS, Engine
from recovery.errors import EngineError, ProofFailed, Refused
from recovery.model import Member, Report
from recovery.settings import Node, Settings
from recovery.steps import Action
from recovery.survey import ask
from recovery.transport import Shell
from recovery.zones import quorum

SECONDS = MENDS_SECONDS
"""For a change to show: what the swarm mends by itself is waited for."""
PAUSE = 0.1


def not_voting(settings: Settings, members: tuple[Member, ...]) -> list[str]:
    """The managers of the settings that are no reachable voters in a node list."""
    voters = [member for member in members if member.votes and member.reachable]
    return [node.name for node in settings.managers if not any(voter.stands_at(node) for voter in voters)]


def survives_without(entry: Member, members: tuple[Member, ...]) -> bool:
    """Whether the managers of a node list that can be reached are a quorum once this one's vote is taken."""
    left = _voters_without(entry, members)
    return sum(member.reachable for member in left) >= quorum(len(left))


def manages(seen: Report) -> bool:
    """Whether a node's engine is a manager's, or at least holds the log."""
    return seen.control or seen.raft


def demote(chief: Engine, entry: Member, here: Shell | None = None) -> None:
    """Take a manager's vote; returns once raft has done so and, where ``here`` leads to its node, that one is a worker:
    its engine gives up managing and the log only after that.

    Raises: Refused when the quorum would not survive; ProofFailed; EngineError; TransportError.
    """
    members = chief.members()
    if not survives_without(entry, members):
        left = _voters_without(entry, members)
        reachable = sum(member.reachable for member in left)
        raise Refused(
            f"demoting {entry.hostname}",
            f"of the {len(left)} managers left only {reachable} are reachable: the quorum would be lost",
            remedy="bring the other managers back first: requorum status",
        )
    chief.update_member(entry.node_id, role="worker")
    doing = f"demoting {entry.hostname}"
    await_entry(chief, entry.node_id, lambda now: not now.votes, doing, "it still votes")
    if here:
        await_entry(chief, entry.node_id, lambda _: not manages(ask(here)), doing, "it does not become a worker")


def readdress(settings: Settings, node: Node, through: Node, *, say: Callable[[str], None]) -> None:
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


def await_entry(chief: Engine, node_id: str, reached: Callable[[Member], bool], doing: str, otherwise: str) -> None:
    """Wait until a node's entry is as ``reached`` wants it. Raises: ProofFailed, with ``otherwise``, after `SECONDS`."""
    end = monotonic() + SECONDS
    why = ""
    while monotonic() < end:
        try:
            if (entry := chief.member(node_id)) and reached(entry):
                return
        except EngineError as error:  # while another leader is elected
            why = f" ({error.why})"
        sleep(PAUSE)
    raise ProofFailed(
        doing, f"{otherwise} after {SECONDS:.0f} s{why}", remedy="requorum status; then run the same command again"
    )


def _voters_without(entry: Member, members: tuple[Member, ...]) -> list[Member]:
    return [member for member in members if member.votes and member.node_id != entry.node_id]
