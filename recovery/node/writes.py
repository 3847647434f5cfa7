"""Writes to a swarm that are made again while the engine gives an answer that passes, and what a write keeps of before."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from docker.errors import APIError

from recovery.waiting import until

RECOVERY_SECONDS = 75.0
"""The time in which a swarm recovers from a change of leader.

A leader that hangs steps down after 30 s (swarmkit, manager/state/store: WedgeTimeout). An election takes up to 20 s
more.
"""
SUPERSEDED = ("out of sequence",)
"""Part of the engine's answer if another write came first (swarmkit, manager/state/store: ErrSequenceConflict)."""
TRANSIENT = (*SUPERSEDED, "node lost leader status", "The swarm does not have a leader")
"""Parts of temporary answers, also during an election (manager/state/raft: ErrLostLeadership, errLostQuorum)."""
PAUSE = 0.1


def written(write: Callable[[], None], passing: Collection[str]) -> None:
    """Repeat a write for `RECOVERY_SECONDS` while the engine gives one of the temporary answers ``passing``.

    Each write names the version that it is based on, so it never overwrites another change. Raises: APIError.
    """

    def refusal() -> APIError | None:
        try:
            write()
        except APIError as error:
            if not any(words in str(error.explanation) for words in passing):
                raise
            return error
        return None

    if error := until(refusal, RECOVERY_SECONDS, holds=lambda error: error is None, pause=PAUSE):
        raise error


def merged(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``current``, overwritten with the values of ``wanted`` at every level."""
    result = dict(current)
    for key, value in wanted.items():
        below = current.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result
