"""What happens around a change of the cluster, whoever makes it: the Pulumi program or the command line."""

from collections.abc import Callable

from recovery import consent
from recovery.assessment import assess
from recovery.backup import backup
from recovery.errors import RequorumError
from recovery.settings import Settings


def fresh_copies(settings: Settings, *, say: Callable[[str], None]) -> None:
    """Copy every manager after a change. Raises: the first manager's error, once all were tried."""
    failed = [outcome.error for outcome in backup(settings, say=say) if outcome.error]
    if failed:
        raise failed[0]


def proven(settings: Settings) -> None:
    """What is left to do once a change is proven. Raises: StoreError."""
    consent.spend(settings)


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
