"""Carries out a plan without Pulumi, on machines that are up: for use when Pulumi's state or the pipeline is lost too."""

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations import lifecycle
from recovery.operations.assess import Assessment
from recovery.operations.report import COMMAND_LINE
from recovery.planning.diagnosis import Diagnosis
from recovery.progress import Say
from recovery.steps.member import bring_back
from recovery.steps.prove import Health
from recovery.steps.quorum import establish
from recovery.steps.run import Run
from recovery.swarm.machines import Node
from recovery.swarm.model import Reach


def recover_all(cluster: Cluster, assessment: Assessment, *, say: Say) -> Health:
    """Restore the quorum, let every missing node join, take fresh copies, and prove the result.

    Safe to run again after any interruption. A later `pulumi up` agrees with the result.

    Raises: Refused if machines are missing, or if no safe change is possible; ProofFailed; TransportError, EngineError,
    StoreError; SettingError if the operator's key cannot sign.
    """
    assessment.require_safe(cluster.settings)
    cluster.operators.require()
    if gone := [report.node.name for report in assessment.survey.reports if report.reach is Reach.ABSENT]:
        consent = f" --config recover={assessment.plan.id}" if assessment.plan.id else ""
        raise Refused(
            f"recovering cluster {cluster.settings.cluster}",
            f"these machines do not exist: {', '.join(gone)}",
            remedy=f"pulumi up{consent}, which also makes the machines",
            code="no-machine",
        )
    with cluster.hold("recovery", say=say):
        return _recover_all(cluster, assessment, say)


def _recover_all(cluster: Cluster, assessment: Assessment, say: Say) -> Health:
    settings, plan, diagnosis = cluster.settings, assessment.plan, assessment.diagnosis
    lifecycle.begin(cluster, assessment, how=COMMAND_LINE, say=say)
    run = Run(cluster, plan, say)
    quorum = establish(run, known=diagnosis.cluster_id)
    for node in sorted(settings.nodes, key=lambda node: _turn(node, diagnosis)):
        if node.name not in diagnosis.left_alone:
            bring_back(run, node)
    lifecycle.fresh_copies(cluster, say=say)
    return lifecycle.finish(cluster, quorum.cluster_id, how=COMMAND_LINE, recover=settings.recover, say=say)


def _turn(node: Node, diagnosis: Diagnosis) -> int:
    """When a node is brought back. Stranded workers come first: a new leader gives their tasks to other nodes after a while."""
    if node.name in diagnosis.stranded:
        return -1
    return 1 + diagnosis.stand_ins.index(node.name) if node.name in diagnosis.stand_ins else 0
