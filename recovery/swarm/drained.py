"""The note of a node that leaves: which availability it had before it was drained.

The note is a label of the node's entry. The entry, and the note with it, is gone once the node has left. If the removal is
interrupted and the stack file still names the node, the next command gives the availability back.
"""

from collections.abc import Mapping

from recovery.swarm.entries import Member

NOTE = "requorum.availability"
AVAILABILITIES = frozenset({"active", "pause", "drain"})


def note(entry: Member) -> Mapping[str, str]:
    """The label to set before a node is drained. An earlier note stays."""
    return {NOTE: noted(entry) or entry.availability}


def noted(entry: Member | None) -> str:
    """The availability that a node is to get back; empty without a note, or if nobody can read it."""
    value = entry.labels.get(NOTE, "") if entry else ""
    return value if value in AVAILABILITIES else ""
