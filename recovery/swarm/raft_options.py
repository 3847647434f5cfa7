"""Changes the raft options in a swarm's spec, so that the raft log stays short while a manager joins.

The leader sends a joining manager the whole log since the last snapshot, at 64 KB a second (seen with engine 20.10:
one message for each tick). swarmkit makes a snapshot every 10,000 entries. If the manager is the second of two, the
swarm commits nothing until the manager has the whole log: a swarm of 1,500 entries of 1 KB blocked for 52 s. With a
fresh snapshot the join takes half a second. The snapshot must be newer than the join. Newer engines ignore a snapshot
that does not list them (etcd, raft: "attempted to restore snapshot but it is not in the ConfState"). So the log stays
short until the manager is Ready.
"""

from collections.abc import Mapping
from typing import Any

NOTE = "requorum.raft"
"""A label of the swarm. While the raft options are changed, it holds the old values, for any run to restore."""
KEYS = ("SnapshotInterval", "LogEntriesForSlowFollowers")
SHORT = dict.fromkeys(KEYS, 1)
"""A snapshot after each entry, with as few entries as possible kept before it. 0 has another meaning."""
DEFAULTS = dict(zip(KEYS, (10_000, 500), strict=True))
"""The defaults of swarmkit (api/defaults), for a label that cannot be read."""


def shortened(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec with the options of a short log, and with the old values in the label."""
    raft, labels = spec.get("Raft") or {}, spec.get("Labels") or {}
    note = labels.get(NOTE) or " ".join(str(raft.get(key, DEFAULTS[key])) for key in KEYS)
    return {**spec, "Raft": {**raft, **SHORT}, "Labels": {**labels, NOTE: note}}


def is_shortened(spec: Mapping[str, Any]) -> bool:
    """Whether the spec has the options of a short log, or at least their label."""
    return NOTE in (spec.get("Labels") or {})


def restored(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec with the options in the label, and without the label. Without it, the spec stays."""
    if not is_shortened(spec):
        return dict(spec)
    labels = spec["Labels"]
    return {
        **spec,
        "Raft": {**(spec.get("Raft") or {}), **_noted(labels[NOTE])},
        "Labels": {key: value for key, value in labels.items() if key != NOTE},
    }


def _noted(note: str) -> dict[str, int]:
    values = [int(word) for word in note.split() if word.isdecimal()]
    return dict(zip(KEYS, values, strict=True)) if len(values) == len(KEYS) else DEFAULTS
