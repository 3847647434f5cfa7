"""Gives the cluster a quorum: takes the plan's steps for the quorum, and gives the swarm the options of the settings.

Requorum never makes a swarm while a manager with a leader answers at any known address. It creates no new swarm while S3
has copies of the old one.
"""

from recovery.cluster import Cluster
from recovery.copies.swarm_id import known_id
from recovery.copies.taking import take_one
from recovery.errors import Refused
from recovery.node.engine import Engine
from recovery.planning.steps import Action, Step
from recovery.planning.votes import is_edited
from recovery.progress import Say
from recovery.steps import swarm_directory
from recovery.steps.lock import settle_autolock
from recovery.steps.outcome import Quorum
from recovery.steps.run import Run, planned
from recovery.steps.take import Phase, carry_out
from recovery.survey.nodes import survey

MAKES_IT = frozenset({Action.FOUND, Action.REPAIR, Action.FORCE, Action.RESTORE, Action.COMPARE})
"""The actions after which Requorum asks only their node again. The engines of the other managers may search for a leader."""
CHANGES_ALL = frozenset({Action.UNLOCK, Action.JOIN})
"""The actions after which Requorum surveys all managers again."""
REMAKES = frozenset({Action.FORCE, Action.RESTORE, Action.COMPARE})


def establish(run: Run, *, known: str | None = None) -> Quorum:
    """Make sure that the cluster has a quorum.

    It takes only steps of the consented plan. Before an edit changes who votes, it copies the leader. If the steps restore or force, agents pause until `lifecycle.finish`. ``known``
    is the ID of a cluster that was built before. With it, Requorum creates no new swarm. Safe to run again after any
    interruption.

    Raises: Refused if it is not safe to adopt, create or restore a swarm, or another operator holds the lease;
    ProofFailed; StoreError.
    """
    doing = f"establishing the quorum of cluster {run.settings.cluster}"
    with run.phase(doing):
        run.known, run.copied = _swarm(run, known, doing), bool(run.catalog.copies)
        if run.consented.id and run.survey.leader is None:
            _pause_agents(run)
        carry_out(run, Phase(doing, _takes, _looks, frozenset({Action.LEAVE})))
        leader = run.require_leader(doing)
        _take_notes_off(run)
        engine, actions = Engine(run.shell(leader.node)), {action for action, _ in run.done}
        if not actions and is_edited(run.settings, run.survey):
            run.say(f"copying {leader.node.name} before other managers vote")
            take_one(run.catalog, run.settings, leader.node)
        if Action.FOUND not in actions:
            engine.set_options(run.settings.swarm)
        if Action.LOCK not in actions:
            settle_autolock(run, leader.node)
        return Quorum(leader.cluster_id, leader.ca_sha256, remade=bool(actions & REMAKES))


def dissolve(cluster: Cluster, cluster_id: str, *, say: Say) -> None:
    """End the swarm: every node that answers and belongs to it leaves. Skip nodes that do not answer.

    Raises: Refused if another operator holds the lease; TransportError, EngineError, StoreError.
    """
    with cluster.hold("ending the swarm", say=say):
        for report in survey(cluster).reports:
            if report.in_swarm and report.cluster_id == cluster_id:
                with cluster.shell(report.node) as shell:
                    Engine(shell).leave()


def _pause_agents(run: Run) -> None:
    """Pause the agents. Before the proof, they would copy an incomplete swarm."""
    if run.settings.agent:
        run.cluster.pause_agents(say=run.say)


def _take_notes_off(run: Run) -> None:
    """Take the note of a repaired log off each manager that has a leader: a new cluster was forced from that log."""
    for report in run.survey.managers:
        if report.led and report.repaired:
            shell = run.shell(report.node)
            swarm_directory.forced(shell, Engine(shell))


def _takes(run: Run, step: Step) -> bool:
    """Whether the step gives the swarm its quorum, in the fresh plan or in the consented plan."""
    twin = planned(run.consented, step)
    return step.gives_quorum or bool(twin and twin.gives_quorum)


def _looks(run: Run, step: Step) -> None:
    if step.action in MAKES_IT:
        run.ask(run.settings.node(step.node))
    elif step.action in CHANGES_ALL:
        run.look()


def _swarm(run: Run, known: str | None, doing: str) -> str | None:
    """The swarm's ID from the settings or the copies, else ``known``. Raises: Refused if the copies have another ID.

    Copies under another CA than the living managers know, or the consented plan names, tell nothing. If all were lost, that is
    the CA of the leader which is restored and not proven yet, if it leads the swarm ``known``.
    """
    leader = run.survey.leader
    restored = leader.ca_sha256 if leader and leader.cluster_id == known else ""
    run.catalog.trust(run.survey.told_cas or frozenset(filter(None, [run.consented.ca or restored])))
    copies_id = known_id(run.settings, run.catalog)
    if known and copies_id not in (None, known, run.settings.cluster_id):
        raise Refused(
            doing,
            f"Pulumi built the cluster as swarm {known}, and the copies in S3 are of swarm {copies_id}",
            remedy="correct requorum:backup, or set requorum:clusterId to the ID of the right swarm",
            code="several-swarms",
        )
    return copies_id or known
