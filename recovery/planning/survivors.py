"""Ranks the survivors of a lost quorum by what their logs hold."""

from collections.abc import Mapping, Sequence

from recovery.copies.copy import Copy
from recovery.copies.manifest import WITH_INVENTORY, Manifest, Verdict
from recovery.copies.order import furthest
from recovery.swarm.survivor import Survivor


def rank(survivors: Sequence[Survivor]) -> tuple[Survivor, ...]:
    """The survivors, the one whose log reaches furthest first: by last term, then by committed entries, then by length.

    A damaged log counts as far as it can be repaired. Between equals, a log that is not damaged comes first, then names decide."""

    def reach(survivor: Survivor) -> tuple[int, int, int, bool, str]:
        end = survivor.position
        return end.term, end.commit, end.index, not survivor.damage, survivor.name

    return tuple(sorted(survivors, key=reach, reverse=True))


def can_be_ahead(manifest: Manifest) -> bool:
    """Whether a copy has changes that a swarm can get back from it."""
    return manifest.kind in WITH_INVENTORY and manifest.verdict is not Verdict.FAILED


def copy_ahead_of(best: Survivor, copies: Mapping[Copy, Manifest]) -> Copy | None:
    """A copy that holds committed changes that the best survivor never received; None if there is none.

    A copy is ahead if the survivors were off or cut off while the managers that are lost now continued. Of the copies that may be
    the newest, the one that is committed furthest counts: the clock of a survivor may have been ahead. Copies that are certainly
    older are ignored, because an earlier recovery may have given up their history.
    """
    found = furthest({copy: manifest for copy, manifest in copies.items() if can_be_ahead(manifest)})
    return found if found and copies[found].position.committed > (best.position.term, best.position.index) else None
