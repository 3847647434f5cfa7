"""In which order an edit of the managers takes and gives votes, and what the quorum tolerates after each change.

One vote changes at a time. Votes are given before others are taken. A vote that will not come back goes first, if the quorum
would otherwise need the machine that only joins, or tolerate no loss after the change. The leader loses its vote last, and
hands over before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recovery.errors import Refused
from recovery.swarm.entries import entries_of
from recovery.swarm.model import Reach
from recovery.swarm.raft import quorum

if TYPE_CHECKING:
    from recovery.settings import Settings
    from recovery.swarm.entries import Member
    from recovery.swarm.machines import Node
    from recovery.swarm.model import NodeReport, Survey


BRING_BACK = "bring them back (requorum doctor), or take them out of the stack file. Then run the same command again"


@dataclass(frozen=True)
class Voter:
    """A manager that votes."""

    name: str
    up: bool = True
    leads: bool = False


@dataclass(frozen=True)
class Vote:
    """A change of one vote."""

    name: str
    given: bool
    before: int
    """How many votes there were."""
    after: int
    up: int
    """How many managers that vote are up then, with the one that joins."""
    leads: bool = False
    """Whether the vote is the leader's."""

    @property
    def tolerates(self) -> int:
        """How many more managers could be lost then. Below 0, the quorum is lost."""
        return self.up - quorum(self.after)

    @property
    def risky(self) -> bool:
        """Whether the quorum needs the machine that only joins, or is lost. Two of two managers are always needed."""
        needed = self.given and self.before > 1 and self.up - 1 < quorum(self.after)
        return needed or self.tolerates < 0

    @property
    def text(self) -> str:
        """The change as a preview shows it."""
        return f"votes {self.before} -> {self.after}, tolerates {self.tolerates}"

    @property
    def hand_over(self) -> str:
        """What a leader does before it loses its vote, to be added to the text."""
        return ", the leader hands over first" if self.leads else ""


def sequence(
    voters: Iterable[Voter], given: Sequence[str], demoted: Collection[str], leaving: Collection[str]
) -> tuple[Vote, ...]:
    """The changes in their order: who gets a vote, then who becomes a worker, then who leaves.

    A manager that comes back has its name among ``given``, and loses its old vote first.
    """
    ballot = _Ballot(list(voters), frozenset({*given, *demoted, *leaving}))
    for name in given:
        ballot.take(*(voter for voter in ballot.there if voter.name == name))
        ballot.make_room(lambda up, votes: up >= quorum(votes + 1))
        ballot.give(name)
    for names in (demoted, leaving):
        ending = sorted((one for one in ballot.there if one.name in names), key=lambda one: (one.up, one.leads))
        for voter in ending:
            ballot.make_room(lambda up, votes: up - 1 > quorum(votes - 1))
            ballot.take(voter)
    return tuple(ballot.changes)


class _Ballot:
    """The votes while they change, one at a time."""

    def __init__(self, there: list[Voter], ending: Collection[str]) -> None:
        self.there, self._ending = there, ending
        self.changes: list[Vote] = []

    def give(self, name: str) -> None:
        self.there.append(Voter(name))
        self._note(Voter(name), given=True)

    def take(self, *voters: Voter) -> None:
        """Take these votes, as far as they are not taken yet."""
        for voter in [one for one in voters if one in self.there]:
            self.there.remove(voter)
            self._note(voter, given=False)

    def make_room(self, enough: Callable[[int, int], bool]) -> None:
        """Take votes that will not come back until those that are up are enough, of how many votes there are."""
        for voter in [one for one in self.there if not one.up and one.name in self._ending]:
            if enough(self._up, len(self.there)):
                return
            self.take(voter)

    @property
    def _up(self) -> int:
        return sum(voter.up for voter in self.there)

    def _note(self, voter: Voter, *, given: bool) -> None:
        now = len(self.there)
        self.changes.append(Vote(voter.name, given, now - 1 if given else now + 1, now, self._up, voter.leads))


def of_edit(settings: Settings, survey: Survey) -> tuple[Vote, ...]:
    """The changes that an update brings to a swarm with a leader. Managers in no list count as leaving; silent machines stay."""
    if survey.leader is None:
        return ()
    listed = [entry for entry in survey.leader.members if entry.votes]
    names = _names(settings, survey, listed)
    voters = [Voter(names[entry.node_id], entry.reachable, entry.leader) for entry in listed]
    given = [report.node.name for report in survey.managers if _comes(report, listed, survey)]
    demoted = [node.name for node in settings.workers]
    known = {node.name for node in settings.nodes}
    return sequence(voters, given, demoted, leaving=[voter.name for voter in voters if voter.name not in known])


def _comes(report: NodeReport, listed: Sequence[Member], survey: Survey) -> bool:
    """Whether a manager gets a vote: it is in the swarm without one, or its machine is empty and could join."""
    own = entries_of(report.node, listed, survey.told)
    if report.in_swarm:
        return not own
    return report.known_lost and report.reach is not Reach.NAMED and not any(entry.reachable for entry in own)


def _names(settings: Settings, survey: Survey, listed: Sequence[Member]) -> dict[str, str]:
    """What each entry is called: as its node in the settings, or by its host name and address."""
    owned = {e.node_id: node.name for node in settings.nodes for e in entries_of(node, listed, survey.told)}
    lost = (e for e in listed if not e.reachable and e.node_id not in owned)
    former = {e.node_id: node.name for e in lost for node in settings.managers if replaces(node, e)}
    return {entry.node_id: called(entry) for entry in listed} | former | owned


def replaces(node: Node, lost: Member) -> bool:
    """Whether a manager takes the place of a lost one at another address. The lost one's vote goes right before it joins."""
    return node.role == "manager" and lost.hostname == node.name and not lost.stands_at(node)


def called(entry: Member) -> str:
    """What an entry is called that is no node's of the settings."""
    return f"{entry.hostname} ({entry.raft_address or entry.address}, {'manager' if entry.votes else 'worker'})"


def is_edited(settings: Settings, survey: Survey) -> bool:
    """Whether an update brings other managers, and not only lost ones back."""
    changes = of_edit(settings, survey)
    taken, given = ({vote.name for vote in changes if vote.given is given} for given in (False, True))
    return taken != given


def lines(settings: Settings, survey: Survey) -> Iterator[str]:
    """The changes of the votes until every node of the settings has its own, as a preview shows them."""
    for vote in _parts(settings, survey)[0]:
        yield f"{vote.text}: {vote.name} {'gets a' if vote.given else 'loses its'} vote{vote.hand_over}"


def of_leaving(settings: Settings, survey: Survey) -> dict[str, str]:
    """The changes of the votes after those, when nodes leave, by what the nodes are called."""
    return {vote.name: f"{vote.text}{vote.hand_over}" for vote in _parts(settings, survey)[1]}


def _parts(settings: Settings, survey: Survey) -> tuple[tuple[Vote, ...], tuple[Vote, ...]]:
    changes, known = of_edit(settings, survey), {node.name for node in settings.nodes}
    end = max((place for place, vote in enumerate(changes, 1) if vote.name in known), default=0)
    return changes[:end], changes[end:]


def require_safe(settings: Settings, survey: Survey) -> None:
    """Raises: Refused if the quorum would need a machine that only joins."""
    for vote in of_edit(settings, survey):
        if vote.risky:
            down = [e.hostname for e in survey.leader.members if e.votes and not e.reachable] if survey.leader else []
            raise Refused(
                f"preparing changes to cluster {settings.cluster}",
                f"{vote.text}: the quorum would need {vote.name} before it has the log, because these managers are not "
                f"reachable: {', '.join(down)}",
                remedy=BRING_BACK,
                code="quorum-at-risk",
            )
