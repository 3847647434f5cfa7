"""What happens around a change of the cluster, whoever makes it: the Pulumi program or the command line."""

from collections.abc import Callable

from recovery.assessment import assess
from recovery.backup import backup
from recovery.errors import RequorumError, Silent
from recovery.settings import Settings


def fresh_copies(settings: Settings, *, say: Callable[[str], None]) -> None:
    """Copy every manager after a change; silent ones are left out, and said so, as the proof does.

    Raises: the first manager's error, once all were tried.
    """
    failed: list[RequorumError] = []
    for outcome in backup(settings, say=say):
        if isinstance(outcome.error, Silent):
            say(f"{outcome.manager} is not copied: it does not answer")
        elif outcome.error:
            failed.append(outcome.error)
    if failed:
        raise failed[0]


def explain(settings: Settings) -> tuple[str, ...]:
    """The state after a failure, and what to run next."""
    try:
        now = assess(settings)
    except RequorumError as error:
        return (f"the cluster's state could not be read: {error}",)
    return (
        f"the cluster is now: {now.diagnosis.kind}",
        *now.diagnosis.evidence,
        "next: requorum status, then run the same command again",
    )
