"""The managers' votes: taking one, only where the quorum survives that; giving one anew; and who has none."""

from collections.abc import Callable
from time import monotonic, sleep

from recovery.errors import EngineError, ProofFailed, Refused
from recovery.node.engine import RECOVERY_SECONDS, Engine
from recovery.node.ssh import Shell
from recovery.settings import Settings
from recovery.survey.nodes import ask
from recovery.swarm.model import Member
from recovery.swarm.votes import manages, survives_without, voters_without

SECONDS = RECOVERY_SECONDS
"""For a change to show: what the swarm mends by itself is waited for."""
PAUSE = 0.1


def not_voting(settings: Settings, members: tuple[Member, ...]) -> list[str]:
    """The managers of the settings that are no reachable voters in a node list."""
    voters = [member for member in members if member.votes and member.reachable]
    return [node.name for node in settings.managers if not any(voter.stands_at(node) for voter in voters)]


def demote(chief: Engine, entry: Member, here: Shell | None = None) -> None:
    """Take a manager's vote; returns once raft has done so and, where ``here`` leads to its node, that one is a worker:
    its engine gives up managing and the log only after that.

    Raises: Refused when the quorum would not survive; ProofFailed; EngineError; TransportError.
    """
    members = chief.members()
    if not survives_without(entry, members):
        left = voters_without(entry, members)
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
