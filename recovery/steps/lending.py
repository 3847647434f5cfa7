"""Takes the tasks of a node away, for a walk that gives the availability back, or for good."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from recovery.errors import EngineError, ProofFailed
from recovery.node.engine import Engine
from recovery.planning.rolling import whole
from recovery.progress import Say
from recovery.swarm import walk_mark
from recovery.swarm.entries import Member
from recovery.swarm.walk_mark import DONE, LABEL, Mark
from recovery.waiting import until

EMPTY_SECONDS = 900.0
"""How long the tasks of a drained node may take to end. A service may give its containers minutes (stop grace period)."""
WHOLE_SECONDS = 300.0
"""How long a service may take to have all its tasks again. A node may pull the image first."""
MOVING_SECONDS = 60.0
"""How long an edit of the stack file waits for tasks that move. They may have no other node."""


def begin(engine: Engine, entry: Member, walk: str, boot: str) -> None:
    """Mark a node as begun, and drain it. One request does both. A node that is drained already stays as it is."""
    _, availability, labels = walk_mark.begun(entry, walk, boot)
    engine.update_member(entry.node_id, availability=availability, labels=labels)


def await_empty(engine: Engine, entry: Member, doing: str, *, say: Say) -> None:
    """Wait until no task runs on a drained node, and tell how many still do. Raises: ProofFailed."""
    told: int | None = None

    def left() -> int | None:
        nonlocal told
        try:
            count = engine.count_tasks(entry.node_id)
        except EngineError:  # as during an election
            return None
        if count not in (told, 0):
            say(f"{entry.hostname} still runs {count} task{'' if count == 1 else 's'}")
        told = count
        return count

    def failure(count: int | None) -> ProofFailed:
        return ProofFailed(
            doing,
            f"{'its' if count is None else count} tasks did not end within {EMPTY_SECONDS:.0f} s. It is drained",
            remedy=f"look at them (on a manager: docker node ps {entry.node_id}), then run the same command again",
            node=entry.hostname,
            code="tasks-not-gone",
        )

    until(left, EMPTY_SECONDS, holds=lambda count: count == 0, otherwise=failure)


@contextmanager
def moving(engine: Engine, entry: Member, *, say: Say) -> Iterator[None]:
    """Within the context, a node gets drained. Then its tasks end there, and run elsewhere before the next node is drained.

    If they do not within `MOVING_SECONDS`, the edit goes on without them. Raises: EngineError.
    """
    moves = entry.ready and entry.availability != "drain" and engine.count_tasks(entry.node_id) > 0
    complete = whole_now(engine) if moves else None
    yield

    def moved() -> bool:
        try:
            left = engine.count_tasks(entry.node_id)
        except EngineError:  # as during an election
            return False
        return left == 0 and (complete or frozenset()) <= (whole_now(engine) or frozenset())

    if moves and not until(moved, MOVING_SECONDS):
        say(f"not all tasks of {entry.hostname} have ended and run elsewhere. Requorum does not wait for them")


def give_back(engine: Engine, entry: Member, walk: str) -> None:
    """Mark a node as done, and give it the availability that it had before this walk drained it."""
    availability, without = walk_mark.given_back(entry)
    done = {LABEL: Mark(walk, DONE).text}
    engine.update_member(entry.node_id, availability=availability, labels=done, without=without)


def release(engine: Engine, entry: Member) -> None:
    """Take the mark of a walk off a node, and give back what the walk had taken."""
    availability, without = walk_mark.given_back(entry)
    engine.update_member(entry.node_id, availability=availability, without=(*without, LABEL))


def close(engine: Engine, walk: str) -> None:
    """Take the marks of a walk that has taken every node off. If this is interrupted, the walk is over anyway."""
    marked = [entry for entry in engine.members() if (mark := Mark.of(entry)) and mark.walk == walk]
    for entry in marked[:1]:
        engine.update_member(entry.node_id, labels={LABEL: Mark(walk, walk_mark.OVER).text})
    for entry in (*marked[1:], *marked[:1]):
        release(engine, entry)


def whole_now(engine: Engine) -> frozenset[str] | None:
    """The replicated services that have all their tasks; None if the engine does not answer, as during an election."""
    try:
        ready = {entry.node_id for entry in engine.members() if entry.ready}
        return whole(engine.services(), engine.tasks(), ready)
    except EngineError:
        return None


def await_whole(engine: Engine, names: Collection[str], doing: str, *, seconds: float = WHOLE_SECONDS) -> None:
    """Wait until these services have all their tasks again. Raises: ProofFailed."""

    def failure(now: frozenset[str] | None) -> ProofFailed:
        lacking = sorted({*names} - (now or frozenset()))
        return ProofFailed(
            doing,
            f"not all tasks of {', '.join(lacking)} run after {seconds:.0f} s",
            remedy=f"on a manager: docker service ps {lacking[0]}",
            code="tasks-not-back",
        )

    until(lambda: whole_now(engine), seconds, holds=lambda now: now is not None and {*names} <= now, otherwise=failure)


def await_services(engine: Engine, seconds: float, *, say: Say) -> None:
    """Give every replicated service a moment to have all its tasks, and name those that have not."""

    def lacking() -> frozenset[str]:
        now = whole_now(engine)
        return frozenset({one.name for one in engine.services() if one.replicas}) - (now or frozenset())

    if names := until(lacking, seconds, holds=lambda names: not names):
        say(f"not all tasks of {', '.join(sorted(names))} run. Requorum does not wait for them")
