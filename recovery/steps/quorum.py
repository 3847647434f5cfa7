"""Gives the cluster a quorum: adopts the one it has, creates the first, or restores one from a copy or a survivor.

Promise 1 guards the ways that make a swarm: never while a manager with a leader answers at any known address,
and no new swarm when S3 has copies of the old one.
"""

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog, known_id
from recovery.errors import Refused
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.planning.decide import refusal_of
from recovery.planning.diagnosis import Diagnosis, Kind, diagnose
from recovery.planning.survivors import rank
from recovery.progress import Say
from recovery.s3 import cluster_lease
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.steps.force import force_new_cluster
from recovery.steps.found import adopt_swarm, found_swarm
from recovery.steps.leave import dismiss
from recovery.steps.outcome import Quorum
from recovery.steps.restore import restore_copy
from recovery.steps.unlock import unlock_managers
from recovery.survey import survivors
from recovery.survey.nodes import stable_survey, survey


def establish(
    settings: Settings,
    *,
    copy: str | None = None,
    ca: str | None = None,
    survivor: str | None = None,
    known: str | None = None,
    say: Say,
) -> Quorum:
    """Make sure that the cluster has a quorum.

    The plan that the operator saw names ``copy``, the copy to restore from, or ``survivor``, the manager to force a new
    cluster from. Without either, nothing is restored or forced. With either, agents pause until `lifecycle.finish`.
    ``ca`` is the CA that the copy must have, if it is given. ``known`` is the cluster's ID if the cluster was built
    before; then no new swarm is created. Safe to run again after any interruption.

    Raises: Refused when neither adopting, creating nor restoring is safe, or another operator holds the lease;
    ProofFailed; StoreError.
    """
    with cluster_lease.hold(Store(settings.backup.sites), settings.keys, "establishing the quorum", say=say):
        return _establish(settings, copy, ca, survivor, known, say)


def _pause_agents(settings: Settings, say: Say) -> None:
    if settings.agent:
        cluster_lease.pause_agents(Store(settings.backup.sites), settings.keys, say=say)


def dissolve(settings: Settings, cluster_id: str, *, say: Say) -> None:
    """End the swarm: every node that answers and belongs to it leaves. Nodes that do not answer are skipped.

    Raises: Refused when another operator holds the lease; TransportError, EngineError, StoreError.
    """
    with cluster_lease.hold(Store(settings.backup.sites), settings.keys, "ending the swarm", say=say):
        for report in survey(Cluster(settings)).reports:
            if report.in_swarm and report.cluster_id == cluster_id:
                with Shell(report.node, settings.ssh) as shell:
                    Engine(shell).leave()


def _establish(
    settings: Settings, copy: str | None, ca: str | None, survivor: str | None, known: str | None, say: Say
) -> Quorum:
    catalog = Catalog(settings)
    seen = stable_survey(Cluster(settings), nodes=settings.managers)
    copied = known_id(settings, catalog)
    if known and copied not in (None, known, settings.cluster_id):
        raise Refused(
            f"establishing the quorum of cluster {settings.cluster}",
            f"Pulumi built the cluster as swarm {known}, and the copies in S3 are of swarm {copied}",
            remedy="correct requorum:backup, or set requorum:clusterId to the ID of the right swarm",
            code="several-swarms",
        )
    known = copied or known
    diagnosis = diagnose(seen, known, cluster=settings.cluster, copies=bool(catalog.copies))
    if diagnosis.kind is Kind.LOCKED:
        unlock_managers(settings, diagnosis.locked, say)
        seen = stable_survey(Cluster(settings), nodes=settings.managers)
        diagnosis = diagnose(seen, known, cluster=settings.cluster, copies=bool(catalog.copies))
    if leader := seen.leader:
        if diagnosis.kind in (Kind.FORKED, Kind.FOREIGN):
            raise _refused(diagnosis, settings)
        return adopt_swarm(settings, catalog, seen, leader, say)
    if diagnosis.kind is Kind.ABSENT:
        return found_swarm(settings, say)
    if diagnosis.kind is Kind.ALL_LOST and copy:
        _pause_agents(settings, say)
        return restore_copy(settings, catalog, seen, copy, ca, say)
    if diagnosis.kind is Kind.QUORUM_LOST and survivor and not diagnosis.silent:
        _pause_agents(settings, say)
        before = seen.of(survivor)
        made = force_new_cluster(
            settings, catalog, seen, before, rank(survivors.read_survivors(Cluster(settings), seen)), say
        )
        dismiss(settings, seen, before.node, say=say)
        return made
    raise _refused(diagnosis, settings)


def _refused(diagnosis: Diagnosis, settings: Settings) -> Refused:
    doing = f"establishing the quorum of cluster {settings.cluster}"
    if diagnosis.kind in (Kind.FORKED, Kind.FOREIGN):
        refusal = refusal_of(diagnosis, settings)
        return Refused(doing, f"{diagnosis.kind}\n{diagnosis.text}", remedy=refusal.remedy, code=refusal.code)
    why = f"{diagnosis.kind}, and this run has no plan for that\n{diagnosis.text}"
    return Refused(doing, why, remedy="make a new plan: pulumi preview", code="plan-outdated")
