"""One Docker Swarm, built and recovered by `pulumi up`."""

import pulumi

from components.cluster import Cluster as ClusterComponent
from components.command_line import consent_is_typed, refreshes
from components.progress import note, say, stop, warn
from components.settings import from_program
from recovery.cluster import Cluster
from recovery.errors import RequorumError, StoreError
from recovery.operations import consent, exposure, lifecycle, setup
from recovery.operations.assess import assess
from recovery.operations.report import PULUMI

try:
    settings = from_program()
    cluster = Cluster(settings)
    typed = settings.recover is True and consent_is_typed()
    assessment = assess(cluster, typed=typed)
except RequorumError as error:
    stop(error)
try:
    consent.keep_up(cluster, assessment.plan, typed=typed, preview=pulumi.runtime.is_dry_run())
except StoreError as error:
    warn(f"Requorum cannot note in S3 whether recover: true is used up: {error}")
except RequorumError as error:
    stop(error)
for line in assessment.shown(settings):
    note(line)
try:
    faults = setup.require_for_update(cluster, assessment, refreshed=refreshes())
except RequorumError as error:
    stop(error)

for warning in exposure.warnings(settings):
    warn(warning)
for fault in faults:
    warn(f"{fault.line}. next: {fault.remedy}")
if settings.recover is True and not assessment.plan.id:
    warn("recover: true in the stack file is used up and has no effect. Remove it: pulumi config rm recover")
if not pulumi.runtime.is_dry_run():
    lifecycle.begin(cluster, assessment, how=PULUMI, say=say)

try:
    made = ClusterComponent(settings.cluster, cluster, assessment)
except RequorumError as error:
    stop(error)
pulumi.export("clusterId", made.cluster_id)
pulumi.export("managers", made.managers)
pulumi.export("workers", made.workers)
pulumi.export("leader", made.leader)
pulumi.export("health", made.health)
for line in assessment.guidance(settings).next if pulumi.runtime.is_dry_run() else ():
    note(line)
