"""Gives the cluster a quorum: takes the steps of the plan for that, and gives the swarm the options of the settings.

Promise 1 guards the steps that make a swarm: never while a manager with a leader answers at any known address,
and no new swarm when S3 has copies of the old one.
"""

from recovery.copies.catalog import known_id
from recovery.errors import Refused
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.planning.steps import Action, Step
from recovery.progress import Say
from recovery.s3 import cluster_lease
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.steps.lock import settle_autolock
from recovery.steps.outcome import Quorum
from recovery.steps.run import Run, planned
from recovery.steps.take import Phase, carry_out
from recovery.survey.nodes import survey

MAKES_IT = frozenset({Action.FOUND, Action.REPAIR, Action.FORCE, Action.RESTORE, Action.COMPARE})
"""The actions after which their node is asked again. The other managers are not: their engines may search for a leader."""
CHANGES_ALL = frozenset({Action.UNLOCK, Action.JOIN})
"""The actions after which all managers are surveyed anew."""
REMAKES = frozenset({Action.FORCE, Action.RESTORE, Action.COMPARE})


def establish(run: Run, *, known: str | None = None) -> Quorum:
    """Make sure that the cluster has a quorum.

    Only the steps of the plan that was consented to are taken. If they restore or force, agents pause until
    `lifecycle.finish`. ``known`` is the cluster's ID if the cluster was built before; then no new swarm is created. Safe
    to run again after any interruption.

    Raises: Refused when neither adopting, creating nor restoring is safe, or another operator holds the lease;
    ProofFailed; StoreError.
    """
    doing = f"establishing the quorum of cluster {run.settings.cluster}"
    with run.phase(doing):
        run.known, run.copied = _swarm(run, known, doing), bool(run.catalog.copies)
        if run.consented.id and run.survey.leader is None:
            _pause_agents(run)
        carry_out(run, Phase(doing, _takes, _looks, frozenset({Action.LEAVE})))
        leader = run.require_leader(doing)
        engine, taken = Engine(run.shell(leader.node)), {action for action, _ in run.done}
        if Action.FOUND not in taken:
            engine.set_options(run.settings.swarm)
        if Action.LOCK not in taken:
            settle_autolock(run, leader.node)
        return Quorum(leader.cluster_id, leader.ca_sha256, remade=bool(taken & REMAKES))


def dissolve(settings: Settings, cluster_id: str, *, say: Say) -> None:
    """End the swarm: every node that answers and belongs to it leaves. Nodes that do not answer are skipped.

    Raises: Refused when another operator holds the lease; TransportError, EngineError, StoreError.
    """
    with cluster_lease.hold(Store(settings.backup.sites), settings.keys, "ending the swarm", say=say):
        for report in survey(settings).reports:
            if report.in_swarm and report.cluster_id == cluster_id:
                with Shell(report.node, settings.ssh) as shell:
                    Engine(shell).leave()


def _pause_agents(run: Run) -> None:
    """Before the proof, agents would copy half a cluster."""
    if run.settings.agent:
        cluster_lease.pause_agents(run.store, run.settings.keys, say=run.say)


def _takes(run: Run, step: Step) -> bool:
    """Whether the step gives the swarm its quorum, by the fresh plan or by the consented one."""
    shown = planned(run.consented, step)
    return step.gives_quorum or bool(shown and shown.gives_quorum)


def _looks(run: Run, step: Step) -> None:
    if step.action in MAKES_IT:
        run.ask(run.settings.node(step.node))
    elif step.action in CHANGES_ALL:
        run.look()


def _swarm(run: Run, known: str | None, doing: str) -> str | None:
    """The ID of the cluster's swarm by the settings or the copies, else ``known``. Raises: Refused if they differ."""
    copied = known_id(run.settings, run.catalog)
    if known and copied not in (None, known, run.settings.cluster_id):
        raise Refused(
            doing,
            f"Pulumi built the cluster as swarm {known}, and the copies in S3 are of swarm {copied}",
            remedy="correct requorum:backup, or set requorum:clusterId to the ID of the right swarm",
            code="several-swarms",
        )
    return copied or known
