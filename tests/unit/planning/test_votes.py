"""Every edit of 1 to 7 managers changes one vote at a time, and never through a state that one further loss would end."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import pytest

from recovery.planning.votes import Vote, Voter, sequence

MOST = 7


@dataclass(frozen=True)
class Pair:
    """How many managers there are of each kind before and after an edit."""

    stay: int
    stay_down: int
    demoted: int
    leave: int
    leave_down: int
    return_: int
    """Lost, with an empty machine that is in the list."""
    come: int

    @property
    def before(self) -> int:
        return self.up + self.stay_down + self.leave_down + self.return_

    @property
    def up(self) -> int:
        return self.stay + self.demoted + self.leave

    @property
    def after(self) -> int:
        return self.stay + self.stay_down + self.return_ + self.come

    @property
    def spare(self) -> int:
        return self.up - majority(self.before)

    @property
    def spare_after(self) -> int:
        return self.after - self.stay_down - majority(self.after)

    def names(self, kind: str) -> list[str]:
        return [f"{kind}-{number}" for number in range(getattr(self, kind))]

    def changes(self, leader: str) -> tuple[Vote, ...]:
        down = ("stay_down", "leave_down", "return_")
        kinds = ("demoted", "leave", "stay", *down)
        voters = [Voter(name, kind not in down, name == leader) for kind in kinds for name in self.names(kind)]
        given = self.names("return_") + self.names("come")
        return sequence(voters, given, self.names("demoted"), self.names("leave") + self.names("leave_down"))


def majority(votes: int) -> int:
    return votes // 2 + 1


def counts(kinds: int, most: int) -> Iterator[tuple[int, ...]]:
    """All ways to have at most so many managers of so many kinds."""
    if not kinds:
        yield ()
        return
    for count in range(most + 1):
        yield from ((count, *rest) for rest in counts(kinds - 1, most - count))


def pairs() -> Iterator[Pair]:
    """Every pair of lists with 1 to 7 managers each, and every loss before the edit that leaves a quorum."""
    for before in counts(6, MOST):
        for come in range(MOST + 1):
            pair = Pair(*before, come)
            if pair.up and pair.spare >= 0 and 1 <= pair.after <= MOST:
                yield pair


PAIRS = tuple(pairs())


def leaders(pair: Pair) -> Iterator[str]:
    """One leader of each kind: managers of a kind are alike, but for their order."""
    for kind in ("stay", "demoted", "leave"):
        yield from pair.names(kind)[:1]


def least(changes: tuple[Vote, ...]) -> int:
    return min((vote.tolerates for vote in changes), default=MOST)


def test_all_pairs_of_1_to_7_managers_are_there() -> None:
    assert {(pair.before, pair.after) for pair in PAIRS} == set(product(range(1, MOST + 1), repeat=2))


@pytest.mark.parametrize("managers", range(1, MOST + 1))
def test_an_edit_tolerates_on_its_way_one_loss_or_what_its_beginning_or_end_tolerates(managers: int) -> None:
    for pair in PAIRS:
        if pair.before == managers and (leader := next(leaders(pair))):
            allowed = min(1, pair.spare, pair.spare_after)
            assert least(pair.changes(leader)) >= allowed, pair


@pytest.mark.parametrize("managers", range(1, MOST + 1))
def test_votes_change_one_by_one_and_the_right_ones_are_left(managers: int) -> None:
    for pair in PAIRS:
        if pair.before != managers:
            continue
        changes = pair.changes(next(leaders(pair)))
        assert [vote.before for vote in changes[:1]] in ([], [pair.before]), pair
        assert all(abs(vote.after - vote.before) == 1 for vote in changes), pair
        assert all(one.after == other.before for one, other in pairwise(changes)), pair
        voting = set(pair.names("stay") + pair.names("stay_down"))
        given = {vote.name for vote in changes if vote.given}
        assert voting | given == voting | set(pair.names("return_") + pair.names("come")), pair
        assert not {vote.name for vote in changes} & voting, f"{pair}: a manager that stays keeps its vote"
        assert (changes[-1].after if changes else pair.before) == pair.after, pair


def test_no_quorum_needs_a_machine_that_only_joins_unless_one_stays_away() -> None:
    for pair in PAIRS:
        changes = pair.changes(next(leaders(pair)))
        if any(vote.risky for vote in changes):
            assert pair.stay_down, pair
            assert min(pair.spare, pair.spare_after) < 1, pair


def test_a_leader_that_loses_its_vote_is_the_last_of_its_kind_and_hands_over_once() -> None:
    for pair in PAIRS:
        for leader in leaders(pair):
            changes = pair.changes(leader)
            kind = leader.partition("-")[0]
            assert [vote.name for vote in changes if vote.leads] == ([] if kind == "stay" else [leader]), pair
            if kind == "leave":
                assert changes[-1].name == leader, pair
            if kind == "demoted":
                assert [vote.name for vote in changes if vote.name in pair.names(kind)][-1] == leader, pair


@pytest.mark.parametrize(
    ("pair", "shown"),
    [
        (Pair(3, 0, 0, 0, 0, 0, 2), ["3 -> 4, tolerates 1", "4 -> 5, tolerates 2"]),
        (Pair(2, 0, 0, 1, 0, 0, 1), ["3 -> 4, tolerates 1", "4 -> 3, tolerates 1"]),
        (Pair(2, 0, 0, 0, 1, 0, 1), ["3 -> 2, tolerates 0", "2 -> 3, tolerates 1"]),
        (Pair(1, 0, 2, 0, 0, 0, 0), ["3 -> 2, tolerates 0", "2 -> 1, tolerates 0"]),
    ],
    ids=["grows", "one is replaced", "a lost one is replaced", "shrinks"],
)
def test_each_change_says_what_the_quorum_tolerates_then(pair: Pair, shown: list[str]) -> None:
    assert [vote.text for vote in pair.changes("stay-0")] == [f"votes {text}" for text in shown]


def test_a_quorum_of_two_of_three_does_not_grow_while_the_third_stays_away() -> None:
    assert [vote.risky for vote in Pair(2, 1, 0, 0, 0, 0, 2).changes("stay-0")] == [True, False]
