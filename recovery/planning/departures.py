"""Who leaves the swarm because the stack file no longer has it, in which order, and when."""

from collections.abc import Collection, Iterable, Iterator

from recovery.swarm.entries import Member, of_nobody
from recovery.swarm.model import Survey


def leaving(survey: Survey, node_ids: Collection[str]) -> tuple[Member, ...]:
    """The entries of these IDs that belong to no node of the settings, in the order in which they leave.

    Managers that nobody reaches lose their votes first, so that the quorum has as much to spare as possible.
    """
    listed = survey.leader.members if survey.leader else ()
    entries = (one for one in of_nobody(survey.nodes, listed, survey.told) if one.node_id in node_ids)
    return tuple(sorted(entries, key=lambda entry: entry.votes and entry.reachable))


def lines(entries: Iterable[Member]) -> Iterator[str]:
    """What a preview and an update say before these nodes leave."""
    for number, entry in enumerate(entries, 1):
        yield f"{number}. {_text(entry)} is no longer in the stack file, and leaves the swarm before the proof"


def notes(survey: Survey) -> Iterator[str]:
    """What a plan says of nodes that the stack file does not have: only Pulumi's state tells whether they were members by it."""
    for entry in leaving(survey, {entry.node_id for entry in (survey.leader.members if survey.leader else ())}):
        if entry.ready or entry.votes:
            yield (
                f"{_text(entry)} is not in the stack file. If this stack made it a member, it leaves the swarm. Otherwise "
                "Requorum leaves it alone"
            )


def _text(entry: Member) -> str:
    return f"{entry.hostname} ({entry.raft_address or entry.address}, {'manager' if entry.votes else 'worker'})"
