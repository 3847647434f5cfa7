"""The mark of a node that a walk over all nodes has begun or has taken, so that the walk can go on after an interruption.

The mark is a label of the node's entry, next to the note of its availability (`recovery.swarm.drained`). Once the walk has
taken every node, it removes the marks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from recovery.swarm.drained import NOTE, noted
from recovery.swarm.entries import Member

LABEL = "requorum.walk"
BEGUN, DONE, OVER = "begun", "done", "over"
DRAIN = "drain"
LENT = "drained"


@dataclass(frozen=True)
class Mark:
    """Which walk, and how far it is with the node. ``OVER`` says that the walk has taken every node."""

    walk: str
    state: str
    boot: str = ""
    """What told the boot of the machine apart from others when the walk began it."""
    lent: bool = False
    """Whether the walk drained the node."""

    @property
    def text(self) -> str:
        """The value of the label."""
        return " ".join((self.walk, self.state, *((self.boot,) if self.boot else ()), *((LENT,) if self.lent else ())))

    @classmethod
    def of(cls, entry: Member | None) -> Self | None:
        """The mark of an entry; None without one, or if nobody can read it."""
        walk, state, *more = (*(entry.labels.get(LABEL, "") if entry else "").split(), "", "")[:5]
        if state not in (BEGUN, DONE, OVER):
            return None
        boot = next((word for word in more if word not in (LENT, "")), "")
        return cls(walk, state, boot, LENT in more)


def begun(entry: Member, walk: str, boot: str) -> tuple[Mark, str | None, Mapping[str, str]]:
    """The mark of a node that is begun, its new availability (None: it stays), and the labels to set.

    A node that is drained already stays as it is afterwards, unless this walk has drained it.
    """
    drains, earlier = entry.availability != DRAIN, Mark.of(entry)
    if earlier and (earlier.walk, earlier.state) == (walk, BEGUN):
        mark = Mark(walk, BEGUN, earlier.boot, drains or earlier.lent)
    else:
        mark = Mark(walk, BEGUN, boot, drains)
    labels = {LABEL: mark.text, **({NOTE: entry.availability} if drains else {})}
    return mark, DRAIN if drains else None, labels


def given_back(entry: Member) -> tuple[str | None, tuple[str, ...]]:
    """The availability that a node gets back from the walk that drained it (None: it stays), and the labels to remove."""
    mark = Mark.of(entry)
    if mark is None or not mark.lent:
        return None, ()
    return noted(entry) or None, (NOTE,)
