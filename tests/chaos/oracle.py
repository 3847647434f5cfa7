"""Decides how each case of the matrix must end. The module does not use the code that plans recoveries."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import combinations

from lab import image


class Copies(StrEnum):
    """The state of the copies when the recovery begins.

    Each manager has a copy from right before the loss, and an older one.
    """

    GOOD = "good"
    TORN = "newest torn"
    """The newest copy of each manager is cut in half."""
    FOREIGN = "newest foreign"
    """S3 also has newer copies of another swarm, under the names of some of the managers."""
    TAMPERED = "newest tampered"
    """The newest archive of each manager has a changed file. Every other manifest matches the changed archive."""
    MISSING = "all missing"
    """S3 has no copy. It still has the unlock keys, which are stored apart from the copies."""


class Ending(StrEnum):
    """The end of a recovery."""

    NOTHING = "nothing to do"
    REJOINED = "rejoined"
    FORCED = "forced"
    RESTORED = "restored"
    REFUSED = "refused"


class Remedy(StrEnum):
    """The action of an operator after a refusal."""

    COPIES_BACK = "the copies are put back"


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    managers: tuple[str, ...]
    lost: tuple[str, ...]
    copies: Copies
    autolock: bool = False
    engine: str = image.DEFAULT
    """The engine of the nodes. With several, as in 20.10+28, the nodes use them in turn."""

    @property
    def name(self) -> str:
        """The name of the case, for `--only` and for the results."""
        lock = "on" if self.autolock else "off"
        return (
            f"{self.engine} {len(self.managers)} autolock={lock} lost={'+'.join(self.lost) or 'nobody'} {self.copies}"
        )

    @property
    def survivors(self) -> tuple[str, ...]:
        """The managers that are not lost."""
        return tuple(name for name in self.managers if name not in self.lost)


@dataclass(frozen=True)
class Expected:
    """How a case must end."""

    ending: Ending
    why: str
    refusal: str = ""
    """Part of the text, or the code, of the refusal that must come first. Empty without a refusal."""
    remedy: Remedy | None = None
    """The action after this refusal. The ending is the one after the action."""
    renewed: frozenset[str] = frozenset()
    """The managers that come back under a new node ID. All others keep their node ID."""
    last_change: bool = True
    """Whether the change from right before the newest copies still exists."""
    safety_copies: frozenset[str] = frozenset()
    """The managers whose log is copied before a force."""

    @property
    def remade(self) -> bool:
        """Whether the quorum is made again. An autolocked swarm then gets a new unlock key."""
        return self.ending in (Ending.FORCED, Ending.RESTORED)


def matrix(managers: Sequence[str], *, autolock: bool = False, engine: str = image.DEFAULT) -> Iterator[Case]:
    """Every subset of the managers as a loss, small ones first, with every state of the copies."""
    for count in range(len(managers) + 1):
        for lost in combinations(managers, count):
            for copies in Copies:
                yield Case(tuple(managers), lost, copies, autolock, engine)


def sample(cases: Sequence[Case]) -> list[Case]:
    """Return each loss once, with the states of the copies in turn. With autolock on, each loss has the next state."""
    losses, states = list(dict.fromkeys(case.lost for case in cases)), list(Copies)
    return [case for case in cases if case.copies is states[(losses.index(case.lost) + case.autolock) % len(states)]]


def expected(case: Case) -> Expected:
    """Decide how a case must end, only from its losses and its copies. Workers live, and know the CA of the swarm's own copies."""
    lost, survivors = len(case.lost), len(case.survivors)
    no_copies = case.copies is Copies.MISSING
    renewed = frozenset(case.lost) if no_copies else frozenset[str]()
    identity = (
        "no copy holds their certificates, so they join as new nodes"
        if no_copies
        else "a copy holds their certificates"
    )
    if lost == 0:
        return Expected(Ending.NOTHING, "nothing is lost, so copies do not matter")
    if survivors > lost:
        return Expected(Ending.REJOINED, f"the swarm has its quorum; {identity}", renewed=renewed)
    if survivors:
        why = f"the survivor whose log reaches furthest has all that was committed, whatever the copies are; {identity}"
        return Expected(Ending.FORCED, why, renewed=renewed, safety_copies=frozenset(case.survivors))
    if no_copies:
        return Expected(
            Ending.RESTORED,
            "there is nothing to restore from, and a new swarm must not take the place of the lost one",
            "code: no-good-copy",
            Remedy.COPIES_BACK,
        )
    if case.copies in (Copies.TORN, Copies.TAMPERED):
        why = "the newest copies are damaged: the newest good one is older, and the last change is lost"
        return Expected(Ending.RESTORED, why, last_change=False)
    return Expected(Ending.RESTORED, "restored from the newest good copy")


def only(cases: Iterable[Case], pattern: str) -> list[Case]:
    """The cases whose names contain the pattern. ``*`` matches anything."""
    return [case for case in cases if fnmatchcase(case.name, f"*{pattern}*")]
