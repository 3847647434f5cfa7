"""Who leaves the swarm because the stack file no longer has it, in which order, and when."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from recovery.planning.votes import called
from recovery.swarm.entries import Member, of_nobody
from recovery.swarm.model import Survey


def leaving(survey: Survey, node_ids: Collection[str]) -> tuple[Member, ...]:
    """The entries of these IDs that belong to no node of the settings, in the order in which they leave.

    Managers that nobody reaches lose their votes first, so that the quorum has as much to spare as possible. The leader leaves
    last: it hands over to a manager that stays.
    """
    listed = survey.leader.members if survey.leader else ()
    entries = (one for one in of_nobody(survey.nodes, listed, survey.told) if one.node_id in node_ids)
    return tuple(sorted(entries, key=lambda entry: (entry.votes and entry.reachable, entry.leader)))


def lines(entries: Iterable[Member], votes: Mapping[str, str]) -> Iterator[str]:
    """What a preview and an update say before these nodes leave; ``votes`` has the changes of votes by who loses one."""
    for number, entry in enumerate(entries, 1):
        loses = f": {votes[called(entry)]}" if called(entry) in votes else ""
        yield f"{number}. {called(entry)} is no longer in the stack file, and leaves the swarm before the proof{loses}"


def notes(survey: Survey, votes: Mapping[str, str]) -> Iterator[str]:
    """What a plan says of nodes that the stack file does not have: only Pulumi's state tells whether they were members by it."""
    for entry in leaving(survey, {entry.node_id for entry in (survey.leader.members if survey.leader else ())}):
        if entry.ready or entry.votes:
            loses = f" ({votes[called(entry)]})" if called(entry) in votes else ""
            yield (
                f"{called(entry)} is not in the stack file. If this stack made it a member, it leaves the swarm{loses}. Otherwise "
                "Requorum leaves it alone"
            )
