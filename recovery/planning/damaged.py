"""Damaged raft logs and full disks: what a plan says of them, and when there is no plan."""

from collections.abc import Iterator

from recovery.copies.copy import Choice
from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.planning.losses import counted
from recovery.planning.plan import Refusal
from recovery.swarm.survivor import Survivor

WITHOUT_SPACE = frozenset({Kind.MINORITY_LOST, Kind.QUORUM_LOST, Kind.LOCKED})
"""The diagnoses to which a full disk may be the cause."""


def disk_full(diagnosis: Diagnosis) -> Refusal | None:
    """Why nothing is done before a full disk has space again; None if no disk is full."""
    if not diagnosis.full or diagnosis.kind not in WITHOUT_SPACE:
        return None
    names = ", ".join(diagnosis.full)
    why = f"{diagnosis.kind}: the disk of {names} is full or was, which stopped Docker's raft log"
    restarts = "; ".join(f"requorum restart {name}" for name in diagnosis.full)
    return Refusal(why, f"remove on {names} what requorum doctor names, then: {restarts}", code="disk-full")


def nothing_usable(diagnosis: Diagnosis, survivors: tuple[Survivor, ...]) -> Refusal:
    """Why no new cluster can be forced: nothing of any log can be used."""
    held = ", ".join(survivor.text for survivor in survivors)
    remedy = (
        "copy the swarm directory (the folder swarm below the data-root, /var/lib/docker by default) on each of these nodes to a safe place. To recover from a copy in S3, run on them: "
        "docker swarm leave --force. If a node is in no swarm, move that directory away instead"
    )
    return Refusal(f"{diagnosis.kind}: {held}", remedy, code="log-unreadable")


def losses(best: Survivor, newest: Choice | None) -> Iterator[str]:
    """What a plan says of the survivor whose damaged log it repairs; ``newest`` is the newest copy in S3."""
    if not best.damage:
        return
    yield from repaired(best)
    if newest is None:
        yield "S3 holds no copy to compare the repaired log with"
        return
    end, copied = best.position, newest.manifest.position
    more = copied.committed > (end.term, end.index)
    yield (
        f"{newest.copy.name}, the newest copy, is committed up to entry {copied.commit} of term {copied.term}: "
        f"{'it' if more else 'the repaired log'} knows more"
    )
    if best.holds and (missing := newest.manifest.inventory.missing_from(best.holds)):
        yield f"these objects are in {newest.copy.name} and not in the repaired log: {counted(missing)}"


def repaired(best: Survivor) -> Iterator[str]:
    """Where a damaged log ends once it is repaired, and what came of its trial."""
    name, end = best.name, best.position
    shown = f". The damaged log shows entries up to {best.claimed}: {best.claimed - end.index} are lost"
    yield (
        f"the raft log of {name} is damaged ({best.damage}). Repaired, it ends at entry {end.index} of term {end.term}, "
        f"committed up to {end.commit}{shown if best.claimed > end.index else ''}"
    )
    yield (
        f"the repaired log was not tried in a sandbox: {best.trial}"
        if best.trial
        else "the repaired log was tried in a sandbox on its manager, and the swarm came up with its own ID"
    )
