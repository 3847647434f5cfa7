"""Finds out what must be right before the swarm is created. Writes one small object to S3 and removes it."""

import shutil

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations import agent_trial, agents
from recovery.operations.assess import Assessment
from recovery.operations.readiness import openers
from recovery.planning import preparation, setup
from recovery.planning.conditions import Condition, State, unmet
from recovery.planning.diagnosis import Kind
from recovery.planning.setup import SetUp
from recovery.s3 import probe
from recovery.settings import EXAMPLES_RECIPIENT, Settings
from recovery.swarm.model import Reach, Survey


def conditions(cluster: Cluster, survey: Survey) -> tuple[Condition, ...]:
    """Every condition of the set-up. Raises: SettingError for a file that cannot be read."""
    settings = cluster.settings
    unfit = agents.unfit(cluster, survey)
    there = [r.node for r in survey.managers if r.reach is Reach.ANSWERS and r.node.name not in unfit]
    tried = there[0] if settings.agent and there else None
    identity, escrow = openers(settings)
    found = SetUp(
        sites=probe.probe(cluster.store.sites, settings.keys.probe),
        identity=identity,
        escrow=escrow,
        unfit=unfit,
        trial=agent_trial.tried(cluster, tried) if tried else None,
        tried=tried.name if tried else "",
        fence=not settings.hosts.fence or shutil.which(settings.hosts.fence[0]) is not None,
        of_example=_of_example(settings),
    )
    return setup.judge(settings, survey, found)


def require_for_update(cluster: Cluster, assessment: Assessment, *, refreshed: bool = True) -> tuple[Condition, ...]:
    """Before an update begins, all that it requires. Returns the faults of the set-up that do not stop it.

    ``refreshed`` says whether Pulumi knows what became of its resources.
    Raises: Refused for the first thing that stops it; SettingError.
    """
    assessment.require_safe(cluster.settings)
    cluster.operators.require()
    if not refreshed and assessment.plan.brings_back:
        raise Refused(
            f"preparing changes to cluster {cluster.settings.cluster}",
            f"{assessment.diagnosis.kind}, and with --refresh=false Pulumi relies on its state, in which nothing is lost. It "
            "would not make lost machines again",
            remedy="run the same command again without --refresh=false",
            code="refresh-needed",
        )
    faults = require_ready(cluster, assessment)
    agents.require_fit(cluster, assessment)
    preparation.require_nobody_cut_off(cluster.settings, assessment.survey)
    return faults


def require_ready(cluster: Cluster, assessment: Assessment) -> tuple[Condition, ...]:
    """Before a swarm is created, the conditions that are not met and do not stop that. Else only agents that come are checked.

    Raises: Refused for the conditions that stop it; SettingError.
    """
    if assessment.diagnosis.kind is not Kind.ABSENT:
        return unmet(_of_coming_agents(cluster, assessment))
    faults = unmet(conditions(cluster, assessment.survey))
    grave = [fault for fault in faults if fault.grave and fault.state is State.FAILED]
    if grave:
        why = "".join(f"\n  {fault.name}: {fault.found}. next: {fault.remedy}" for fault in grave)
        doing = f"creating cluster {cluster.settings.cluster}"
        remedy = f"{grave[0].remedy}. Then: {setup.CHECK}"
        raise Refused(doing, f"its set-up is not right:{why}", remedy=remedy, code="setup-not-ready")
    return faults


def _of_coming_agents(cluster: Cluster, assessment: Assessment) -> tuple[Condition, ...]:
    """Whether the credentials work of agents that an update installs beside a healthy swarm, tried on the first manager."""
    coming = [name for name, texts in assessment.changes.agents.items() if texts]
    if assessment.diagnosis.kind is not Kind.HEALTHY or not coming:
        return ()
    return (setup.credentials(coming[0], agent_trial.tried(cluster, cluster.settings.node(coming[0]))),)


def _of_example(settings: Settings) -> tuple[str, ...]:
    """The settings that have the recipient of the example."""
    given = {"backup.recipients": settings.backup.recipients, "escrow.recipients": settings.escrow.recipients}
    return tuple(key for key, recipients in given.items() if EXAMPLES_RECIPIENT in recipients)
