"""Carries out SAVE: takes a safety copy of a manager that has no leader."""

from recovery.copies.taking import take_safety
from recovery.planning.steps import Step
from recovery.steps.run import Run


def take_safety_copy(run: Run, step: Step) -> None:
    """Store the node's raft log in S3 before any step changes the log. Raises: StoreError, TransportError, DamagedCopy."""
    run.say(f"taking a safety copy of {step.node}")
    report = run.survey.of(step.node)
    take_safety(run.cluster.store, run.settings, run.shell(report.node), damaged=bool(report.damage))
