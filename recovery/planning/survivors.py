"""Ranks the survivors of a lost quorum by what their logs hold."""

from collections.abc import Mapping, Sequence

from recovery.copies.copy import Copy
from recovery.copies.manifest import WITH_INVENTORY, Manifest, Verdict
from recovery.swarm.survivor import Survivor


def rank(survivors: Sequence[Survivor]) -> tuple[Survivor, ...]:
    """The survivors, the one whose log reaches furthest first: by last term, then by committed entries, then by length.

    A damaged log counts as far as it can be repaired. Between equals, a log that is not damaged comes first, then names decide."""

    def reach(survivor: Survivor) -> tuple[int, int, int, bool, str]:
        end = survivor.position
        return end.term, end.commit, end.index, not survivor.damage, survivor.name

    return tuple(sorted(survivors, key=reach, reverse=True))


def copy_ahead_of(best: Survivor, copies: Mapping[Copy, Manifest]) -> Copy | None:
    """The swarm's newest copy, if it holds committed changes that the best survivor never received; else None.

    The copy is ahead if the survivors were off or cut off while the managers that are lost now continued. Older copies are
    ignored, because an earlier restore may have given up their history.
    """
    candidates = [c for c, m in copies.items() if m.kind in WITH_INVENTORY and m.verdict is not Verdict.FAILED]
    newest = max(candidates, key=lambda copy: copy.dated, default=None)
    if newest is None:
        return None
    position = copies[newest].position
    return newest if (position.term, position.commit) > (best.position.term, best.position.index) else None
