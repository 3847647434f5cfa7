"""The managers' votes: takes a vote if the quorum survives, waits for a vote, and lists managers without a vote."""

from collections.abc import Callable

from recovery.errors import EngineError, ProofFailed, Refused
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.node.writes import RECOVERY_SECONDS
from recovery.planning.votes import BRING_BACK
from recovery.settings import Settings
from recovery.survey.nodes import ask
from recovery.swarm.entries import NOBODY, Member, Told, entries_of
from recovery.swarm.model import Survey
from recovery.swarm.raft import quorum
from recovery.swarm.votes import given_up, keeps_quorum, manages, survives_without, voters_without
from recovery.waiting import until

SECONDS = RECOVERY_SECONDS
"""How long a change may take to show. The swarm repairs some faults by itself."""
PAUSE = 0.1


def not_voting(settings: Settings, members: tuple[Member, ...], told: Told = NOBODY) -> list[str]:
    """The managers of the settings that a node list does not show as reachable voters."""
    voters = [member for member in members if member.votes and member.reachable]
    return [node.name for node in settings.managers if not entries_of(node, voters, told)]


def demote(leader_engine: Engine, entry: Member, shell: Shell | None = None) -> None:
    """Take a manager's vote, and wait until raft has removed the manager.

    With ``shell``, a shell on its node, also wait until its engine has stopped managing and deleted the log.

    Raises: Refused if the quorum would not survive; ProofFailed; EngineError; TransportError.
    """
    members = leader_engine.members()
    if not survives_without(entry, members):
        voters = voters_without(entry, members)
        reachable = sum(member.reachable for member in voters)
        raise Refused(
            f"demoting {entry.hostname}",
            f"the quorum would be lost: of the other {len(voters)} managers, {reachable} are reachable",
            remedy="repair the other managers first: requorum doctor",
            code="quorum-at-risk",
        )
    leader_engine.update_member(entry.node_id, role="worker")
    doing = f"demoting {entry.hostname}"
    await_entry(leader_engine, entry.node_id, lambda now: not now.votes, doing, "it still votes")
    if shell:
        await_entry(
            leader_engine, entry.node_id, lambda _: not manages(ask(shell)), doing, "it does not become a worker"
        )


def make_room(leader_engine: Engine, survey: Survey, *, before_taking: Member | None = None) -> None:
    """Take votes that will not come back, one after the other, as long as the next change of the voters would be a risk.

    The next change gives a vote to a node, or takes that of ``before_taking``. A node that gets a vote must not be needed for
    the quorum before it has the log. When a vote is taken, one more manager should still be able to fail.

    Raises: Refused if a node that gets a vote would be needed; ProofFailed; EngineError.
    """
    for entry in given_up(leader_engine.members(), survey):
        members = leader_engine.members()
        if _is_room(members, before_taking):
            return
        if survives_without(entry, members):
            demote(leader_engine, entry)
    members = leader_engine.members()
    if not before_taking and sum(member.votes for member in members) > 1 and not _is_room(members, None):
        down = [member.hostname for member in members if member.votes and not member.reachable]
        raise Refused(
            "giving a manager its vote",
            f"the quorum would need it before it has the log: not reachable are {', '.join(down)}",
            remedy=BRING_BACK,
            code="quorum-at-risk",
        )


def _is_room(members: tuple[Member, ...], before_taking: Member | None) -> bool:
    """Whether the next change of the voters is no risk."""
    voters = [member for member in members if member.votes]
    if before_taking is None:
        return keeps_quorum(voters, len(voters) + 1)
    left = [member for member in voters if member.node_id != before_taking.node_id and member.reachable]
    return len(left) > quorum(len(voters) - 1)


def await_entry(
    leader_engine: Engine,
    node_id: str,
    reached: Callable[[Member], bool],
    doing: str,
    otherwise: str,
    *,
    seconds: float = SECONDS,
) -> None:
    """Wait until ``reached`` accepts a node's entry. Raises: ProofFailed with the reason ``otherwise`` after ``seconds``."""

    def look() -> tuple[bool, str]:
        """Whether ``reached`` accepts the entry, and why the engine did not answer, as during an election."""
        try:
            entry = leader_engine.member(node_id)
        except EngineError as error:
            return False, f" ({error.why})"
        return entry is not None and reached(entry), ""

    def failure(last: tuple[bool, str]) -> ProofFailed:
        why, remedy = (
            f"{otherwise} after {seconds:.0f} s{last[1]}",
            "find out why (requorum doctor), then run the same command again",
        )
        return ProofFailed(doing, why, remedy=remedy, code="swarm-timeout")

    until(look, seconds, holds=lambda last: last[0], pause=PAUSE, otherwise=failure)
