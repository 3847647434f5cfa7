"""What each case of the matrix must end in, and why: pure, and not from the code that plans recoveries."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import combinations

from lab import image


class Copies(StrEnum):
    """What lies in S3 when the recovery begins; each manager has a copy made right before the loss and one older."""

    GOOD = "good"
    TORN = "newest torn"
    """The newest copy of each manager is cut in half."""
    FOREIGN = "newest foreign"
    """Beside them lie newer copies of another swarm, under the names of some of the managers."""
    TAMPERED = "newest tampered"
    """The newest archive of each manager is packed anew with a changed file; every other manifest is fitted to it."""
    MISSING = "all missing"
    """There is no copy at all. Unlock keys are kept apart from the copies and are there."""


class Ending(StrEnum):
    """What a recovery came to."""

    NOTHING = "nothing to do"
    REJOINED = "rejoined"
    FORCED = "forced"
    RESTORED = "restored"
    REFUSED = "refused"


class Remedy(StrEnum):
    """What an operator does about a refusal."""

    NAME_THE_SWARM = "requorum:clusterId is set"
    COPIES_BACK = "the copies are put back"


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    managers: tuple[str, ...]
    lost: tuple[str, ...]
    copies: Copies
    autolock: bool = False
    engine: str = image.DEFAULT
    """The nodes' image; several, as in 20.10+28, where the nodes take turns."""

    @property
    def name(self) -> str:
        """What `--only` matches and the results are kept under."""
        lock = "on" if self.autolock else "off"
        return (
            f"{self.engine} {len(self.managers)} autolock={lock} lost={'+'.join(self.lost) or 'nobody'} {self.copies}"
        )

    @property
    def survivors(self) -> tuple[str, ...]:
        """The managers that are left."""
        return tuple(name for name in self.managers if name not in self.lost)


@dataclass(frozen=True)
class Expected:
    """What must come of a case."""

    ending: Ending
    why: str
    refusal: str = ""
    """Words or the code of the refusal that must come first; empty when nothing is refused."""
    remedy: Remedy | None = None
    """What is done about that refusal; the ending is what comes after it."""
    renewed: frozenset[str] = frozenset()
    """Managers that come back under a new node ID. All others keep theirs."""
    last_change: bool = True
    """Whether the change made right before the newest copies is still there."""
    safety_copies: frozenset[str] = frozenset()
    """Managers whose log is copied before anything is forced."""

    @property
    def remade(self) -> bool:
        """Whether the quorum is made again: then an autolocked swarm gets a new unlock key."""
        return self.ending in (Ending.FORCED, Ending.RESTORED)


def matrix(managers: Sequence[str], *, autolock: bool = False, engine: str = image.DEFAULT) -> Iterator[Case]:
    """Every subset of the managers lost, the small ones first, with every state of the copies."""
    for count in range(len(managers) + 1):
        for lost in combinations(managers, count):
            for copies in Copies:
                yield Case(tuple(managers), lost, copies, autolock, engine)


def sample(cases: Sequence[Case]) -> list[Case]:
    """Every loss of these cases once, the states of the copies in turn; with autolock on, each with the next state."""
    losses, states = list(dict.fromkeys(case.lost for case in cases)), list(Copies)
    return [case for case in cases if case.copies is states[(losses.index(case.lost) + case.autolock) % len(states)]]


def expected(case: Case) -> Expected:
    """What must come of a case, from its losses and its copies alone."""
    found = _by_loss(case)
    if case.copies is Copies.FOREIGN:
        return Expected(
            found.ending,
            f"copies of two swarms under one name: refused until the operator names the swarm; then {found.why}",
            "code: several-swarms",
            Remedy.NAME_THE_SWARM,
            found.renewed,
            found.last_change,
            found.safety_copies,
        )
    return found


def _by_loss(case: Case) -> Expected:
    lost, left = len(case.lost), len(case.survivors)
    no_copies = case.copies is Copies.MISSING
    renewed = frozenset(case.lost) if no_copies else frozenset[str]()
    identity = "no copy holds their certificates, so they join anew" if no_copies else "a copy holds their certificates"
    if lost == 0:
        return Expected(Ending.NOTHING, "nothing is lost, so copies do not matter")
    if left > lost:
        return Expected(Ending.REJOINED, f"the swarm has its quorum; {identity}", renewed=renewed)
    if left:
        why = f"the survivor that holds most has all that was committed, whatever the copies are; {identity}"
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
    """The cases whose names hold the pattern, in which ``*`` stands for anything."""
    return [case for case in cases if fnmatchcase(case.name, f"*{pattern}*")]
