"""The update or preview that runs the program: the settings, what Requorum found out, and what it would do."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from components.command_line import consent_is_typed, refreshes
from components.hosts import user_data
from components.progress import note, say, stop, warn
from components.settings import from_program
from recovery.cluster import Cluster
from recovery.errors import RequorumError, StoreError
from recovery.operations import consent, exposure, lifecycle, setup
from recovery.operations.assess import Assessment, assess
from recovery.operations.report import PULUMI


@dataclass(frozen=True)
class Update:
    """A cluster, and what is to be done about it."""

    cluster: Cluster
    assessment: Assessment
    user_data: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What machines that the program makes get at their first boot, by address. It is secret."""


def begin() -> Update:
    """Ask every node and S3, show what is found, and begin. An error ends the program, before anything is changed."""
    try:
        settings = from_program()
        data = user_data.of_machines(settings)
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
    return Update(cluster, assessment, data)


def close(update: Update) -> None:
    """Show what to run after a preview, as the last lines."""
    for line in update.assessment.guidance(update.cluster.settings).next if pulumi.runtime.is_dry_run() else ():
        note(line)
