"""One walk over the nodes of a swarm: each is drained, acted on, waited for, and gets its availability back.

A node's entry has a mark while it is away (`recovery.swarm.walk_mark`). A walk that was interrupted goes on with the nodes that it
has begun, and then with the others.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256

from recovery.cluster import Cluster
from recovery.copies.manifest import Verdict
from recovery.copies.taking import take_one
from recovery.errors import DamagedCopy, ProofFailed, Refused, RequorumError
from recovery.node.engine import Engine
from recovery.node.writes import RECOVERY_SECONDS
from recovery.operations import restart
from recovery.parallel import side_by_side
from recovery.planning import rolling
from recovery.planning.rolling import Batch, Walk
from recovery.progress import Say
from recovery.steps import gossip, lending
from recovery.survey.nodes import stable_survey
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Survey
from recovery.swarm.walk_mark import BEGUN, Mark
from recovery.waiting import until

SETTLE_SECONDS = 150.0
"""For every node to report to a leader that has just changed (six heartbeats of 10 s), with an election before."""
SERVICES_SECONDS = 60.0
PAUSE = 1.0
BOOT_DIGITS = 12


@dataclass(frozen=True)
class Act:
    """What a walk does to a node that is drained."""

    take: Callable[[Node, Survey], None]
    """Act on the node, and wait until it is healthy again. It has the survey of before. Raises: RequorumError."""
    is_taken: Callable[[NodeReport, bool], bool]
    """Whether an interrupted walk has acted on a node already. It has the node's report, and whether the machine has booted."""
    alone: bool = True
    """Whether to hold the cluster's lease meanwhile. Otherwise the act is a command that takes the lease itself."""


@dataclass(frozen=True)
class Outlook:
    """What a walk has still to do, and what to know before."""

    batches: tuple[Batch, ...]
    notes: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The batches and the notes as a preview shows them."""
        steps = (f"{number}. {batch.text}" for number, batch in enumerate(self.batches, 1))
        return (*steps, *(f"note: {note}" for note in self.notes))


def look(cluster: Cluster, walk: Walk) -> Outlook:
    """What the walk would do now. Raises: Refused if it could not begin; HostError; EngineError."""
    seen = _survey(cluster, walk)
    leader = seen.leader
    assert leader, "an objection otherwise"
    with cluster.shell(leader.node) as shell:
        engine = Engine(shell)
        notes = tuple(rolling.notes(walk, seen, engine.services(), engine.tasks()))
    return Outlook(rolling.batches(walk, seen), notes)


def carry_out(cluster: Cluster, walk: Walk, act: Act, *, say: Say) -> tuple[str, ...]:
    """Take every node that is left, the workers in batches, then one manager after the other; the names of those taken.

    Before the first node, the leader is copied. Raises: Refused if a node is not well, or the quorum would be lost; ProofFailed
    if a node does not come back; what the act raises. Nodes that are begun then stay drained, and the next run goes on with them.
    """
    taken: list[str] = []
    with ExitStack() as whole:
        if act.alone:
            whole.enter_context(cluster.hold(walk.doing, say=say))
        with cluster.hold(walk.doing, say=say):
            _end_others(cluster, walk, _survey(cluster, walk), say)
            walk = replace(walk, anew=False)
            seen = _survey(cluster, walk)
            if rolling.following(walk, seen):
                _copy(cluster, seen, say)
                with _chief(cluster, seen) as engine:
                    lending.await_services(engine, SERVICES_SECONDS, say=say)
        while batch := rolling.following(walk, seen := _settled(cluster, walk, say)):
            _take(cluster, walk, act, seen, batch, say)
            taken += [node.name for node in batch]
        with cluster.hold(walk.doing, say=say), _chief(cluster, stable_survey(cluster)) as engine:
            lending.close(engine, walk.name)
    return tuple(taken)


def _take(cluster: Cluster, walk: Walk, act: Act, seen: Survey, batch: Sequence[Node], say: Say) -> None:
    """Take the nodes of a batch. If some fail, the others get their availability back.

    Raises: Refused if the walk may not take them any more once they are drained; the first error.
    """
    with cluster.hold(walk.doing, say=say), _chief(cluster, seen) as engine:
        complete = lending.whole_now(engine) or frozenset()
        booted = {node.name: _begin(cluster, walk, engine, seen, node, say) for node in batch}
    seen = _survey(cluster, walk)  # another manager may have gone while tasks ended

    def attempt(node: Node) -> RequorumError | None:
        try:
            _act(cluster, act, seen, node, booted[node.name], say)
        except RequorumError as error:
            return _with_way_on(error, walk)
        return None

    failed = side_by_side(attempt, batch) if len(batch) > 1 else (attempt(batch[0]),)
    back = [node for node, error in zip(batch, failed, strict=True) if error is None]
    if back:
        with cluster.hold(walk.doing, say=say):
            now = stable_survey(cluster)
            with _chief(cluster, now) as engine:
                _give_back(engine, walk, now, back, say)
                if len(back) == len(batch):
                    lending.await_whole(engine, complete, walk.doing)
    for error in filter(None, failed):
        raise error


def _give_back(engine: Engine, walk: Walk, now: Survey, nodes: Sequence[Node], say: Say) -> None:
    for node in nodes:
        if entry := now.entry(node):
            lending.give_back(engine, entry, walk.name)
            say(f"{node.name} is back")


def _begin(cluster: Cluster, walk: Walk, engine: Engine, seen: Survey, node: Node, say: Say) -> bool:
    """Mark and drain a node, and wait until its tasks are gone. Returns whether it has booted since an earlier run marked it.

    A node that is Down has no tasks that anybody could wait for. Raises: as `restart.require_key`; ProofFailed.
    """
    entry = seen.entry(node)
    assert entry, "an objection otherwise"
    restart.require_key(cluster, node, seen)
    with cluster.shell(node) as shell:
        boot = sha256(restart.boot(shell)).hexdigest()[:BOOT_DIGITS]
    mark = Mark.of(entry)
    say(f"draining {node.name}")
    lending.begin(engine, entry, walk.name, boot)
    if entry.ready:
        lending.await_empty(engine, entry, walk.doing, say=say)
    return mark is not None and (mark.walk, mark.state) == (walk.name, BEGUN) and mark.boot != boot


def _act(cluster: Cluster, act: Act, seen: Survey, node: Node, booted: bool, say: Say) -> None:
    report = seen.of(node.name)
    if act.is_taken(report, booted):
        say(f"{node.name} was taken before the interruption")
        restart.await_back(cluster, node, seen, "going on", restart.RESTART_SECONDS, say=say)
    else:
        act.take(node, seen)


def _with_way_on(error: RequorumError, walk: Walk) -> RequorumError:
    """The error of a node that does not come back, with what to do after it is back."""
    if error.code != "node-not-back" or walk.command in error.remedy:
        return error
    remedy = f"{error.remedy}. When the node is back, the walk goes on: {walk.command}"
    return ProofFailed(error.doing, error.why, remedy=remedy, node=error.node, code="node-not-back")


def _survey(cluster: Cluster, walk: Walk) -> Survey:
    """The survey, if the walk may take its next nodes. One that goes on waits until they are well. Raises: Refused."""
    seen, refusal = _judged(cluster, walk)
    if refusal and rolling.goes_on(walk, seen):
        seen, refusal = until(lambda: _judged(cluster, walk), SETTLE_SECONDS, holds=_is_well, pause=PAUSE)
    if refusal:
        raise refusal
    return seen


def _settled(cluster: Cluster, walk: Walk, say: Say) -> Survey:
    """The survey once every node is well, a while after another leader was elected. Raises: Refused."""
    seen, refusal = until(lambda: _judged(cluster, walk), RECOVERY_SECONDS, holds=_is_well, pause=PAUSE)
    if refusal:
        gossip.rouse(cluster, cluster.settings.managers, say=say)
        return _survey(cluster, walk)
    return seen


def _is_well(found: tuple[Survey, Refused | None]) -> bool:
    return found[1] is None


def _judged(cluster: Cluster, walk: Walk) -> tuple[Survey, Refused | None]:
    seen = stable_survey(cluster)
    return seen, rolling.objection(walk, seen, rolling.following(walk, seen))


def _end_others(cluster: Cluster, walk: Walk, seen: Survey, say: Say) -> None:
    """Give back what an earlier walk has taken that did not end, and with which this one does not go on."""
    for entry in rolling.of_others(walk, seen):
        mark = Mark.of(entry)
        with _chief(cluster, seen) as engine:
            say(f"{entry.hostname} has the mark of an earlier walk ({mark.walk if mark else ''}), which ends here")
            lending.release(engine, entry)


def _copy(cluster: Cluster, seen: Survey, say: Say) -> None:
    """Copy the leader before the first node is taken. Raises: DamagedCopy; as `take_one`."""
    assert seen.leader, "an objection otherwise"
    node = seen.leader.node
    say(f"copying {node.name} first")
    copy, manifest = take_one(cluster.catalog(), cluster.settings, node)
    if manifest.verdict is Verdict.FAILED:
        raise DamagedCopy(
            f"copying {node.name} first",
            manifest.shortfall,
            remedy=f"requorum copies take --or-cold (the copy is {copy.name})",
            node=node.name,
            code="copy-damaged",
        )


@contextmanager
def _chief(cluster: Cluster, seen: Survey) -> Iterator[Engine]:
    """The engine of a manager with a leader. Raises: Refused if there is none."""
    if seen.leader is None:
        why, remedy = "no manager reports a leader", "requorum doctor"
        raise Refused("going on with the next node", why, remedy=remedy, code="no-leader")
    with cluster.shell(seen.leader.node) as shell:
        yield Engine(shell)
