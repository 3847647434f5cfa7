"""Ranks the survivors of a lost quorum by what their logs hold."""

from collections.abc import Mapping, Sequence

from recovery.copies.copy import Copy
from recovery.copies.manifest import WITH_INVENTORY, Manifest, Verdict
from recovery.swarm.model import Survivor


def rank(survivors: Sequence[Survivor]) -> tuple[Survivor, ...]:
    """The one of which a forced new cluster keeps most first: of the last term, what is known to be committed; names
    decide between equals."""

    def kept(survivor: Survivor) -> tuple[int, int, int, str]:
        end = survivor.position
        return end.term, end.commit, end.index, survivor.name

    return tuple(sorted(survivors, key=kept, reverse=True))


def copy_ahead_of(best: Survivor, copies: Mapping[Copy, Manifest]) -> Copy | None:
    """The newest of the swarm's copies, where it holds what was committed and what the best survivor never heard of.

    So it is where the survivors were off or cut off while the others, who are lost now, went on. Older copies may be
    of a history that an earlier restore gave up, and say nothing.
    """
    serve = [c for c, m in copies.items() if m.kind in WITH_INVENTORY and m.verdict is not Verdict.FAILED]
    newest = max(serve, key=lambda copy: copy.dated, default=None)
    if newest is None:
        return None
    reached = copies[newest].position
    return newest if (reached.term, reached.commit) > (best.position.term, best.position.index) else None
