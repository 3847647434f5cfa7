"""The swarm's raft options while its log is made short, and after: pure, on the swarm's spec as the API gives it.

A manager that joins is sent the whole log since the last snapshot, of which there is one each 10,000 entries, at 64 KB a
second (seen with engine 20.10: one message for each tick). Where it is the second of two, nothing is committed until
it has it all: a swarm of 1,500 entries of 1 KB stood still for 52 s. With a fresh snapshot the join takes half a second.
The snapshot must be of after the join was agreed on: newer engines ignore one that they are not in (etcd, raft: "attempted
to restore snapshot but it is not in the ConfState"). So the log is kept short until the manager is there.
"""

from collections.abc import Mapping
from typing import Any

NOTE = "requorum.raft"
"""A label of the swarm, for as long as its raft options are not its own: what they were, so that whoever comes next can tell."""
KEYS = ("SnapshotInterval", "LogEntriesForSlowFollowers")
SHORT = dict.fromkeys(KEYS, 1)
"""A snapshot after each entry, and no entries kept behind it. (0 means other things.)"""
DEFAULTS = dict(zip(KEYS, (10_000, 500), strict=True))
"""swarmkit's, api/defaults: for a note that cannot be read."""


def shortened(spec: Mapping[str, Any]) -> dict[str, Any]:
    """With a snapshot after the next entry, and a note of what was set before."""
    raft, labels = spec.get("Raft") or {}, spec.get("Labels") or {}
    note = labels.get(NOTE) or " ".join(str(raft.get(key, DEFAULTS[key])) for key in KEYS)
    return {**spec, "Raft": {**raft, **SHORT}, "Labels": {**labels, NOTE: note}}


def restored(spec: Mapping[str, Any]) -> dict[str, Any]:
    """With the options that the note tells; without a note, as it is."""
    labels = spec.get("Labels") or {}
    if NOTE not in labels:
        return dict(spec)
    return {
        **spec,
        "Raft": {**(spec.get("Raft") or {}), **_noted(labels[NOTE])},
        "Labels": {key: value for key, value in labels.items() if key != NOTE},
    }


def _noted(note: str) -> dict[str, int]:
    values = [int(word) for word in note.split() if word.isdecimal()]
    return dict(zip(KEYS, values, strict=True)) if len(values) == len(KEYS) else DEFAULTS
