"""What is said of the copies that a plan does not restore, and why Requorum restores none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recovery.copies.copy import Rejected
from recovery.copies.manifest import Manifest
from recovery.planning.diagnosis import Diagnosis
from recovery.planning.plan import Refusal, Source
from recovery.swarm.model import Survey

if TYPE_CHECKING:
    from recovery.settings import Settings

SHOWN = 3
"""The most reasons that a plan names. A bucket may hold hundreds of copies."""


def unlisted(seen: Survey, manifest: Manifest) -> tuple[str, ...]:
    """The workers in the swarm of a copy that the copy does not list. A safety copy does not tell what it lists."""
    listed = manifest.inventory.objects.get("nodes", frozenset())
    workers = (report for report in seen.workers if report.in_swarm and not report.raft and report.node_id)
    ours = (report for report in workers if listed and report.cluster_id == manifest.cluster_id)
    return tuple(report.node.name for report in ours if report.node_id not in listed)


def skipped(diagnosis: Diagnosis, source: Source) -> tuple[str, ...]:
    """Why the plan does not restore better copies."""
    return (
        *(f"skipped {line}" for line in reasons(source.rejected)),
        *(f"skipped the copies of {name}: no machine answers at its address" for name in diagnosis.away),
    )


def reasons(rejected: Sequence[Rejected]) -> tuple[str, ...]:
    """Why copies are not restored: a line for each reason, and not for each copy."""
    by_why: dict[str, list[Rejected]] = {}
    for one in rejected:
        by_why.setdefault(one.why, []).append(one)
    lines = [
        f"{alike[0].copy.name}: {why}"
        if len(alike) == 1
        else f"{len(alike)} copies, the newest {_newest(alike)}: {why}"
        for why, alike in by_why.items()
    ]
    rest = sum(len(alike) for alike in list(by_why.values())[SHOWN:])
    more = (f"{_counted(rest)} more for other reasons, which requorum copies list lists",) if rest else ()
    return (*lines[:SHOWN], *more)


def without_copy(diagnosis: Diagnosis, settings: Settings, source: Source) -> Refusal:
    """Why Requorum restores no copy: no machine stands where the good one belongs, no identity opens them, or none is good."""
    rejected = source.rejected
    if source.elsewhere:
        node = settings.node(source.elsewhere.manager)
        why = (
            f"all managers are lost. The newest good copy is {source.elsewhere.copy.name}. "
            f"No machine stands at {node.address} to restore it on"
        )
        remedy = f"start a fresh machine for {node.name} at {node.address}, then: requorum plan"
        return Refusal(why, remedy, code="no-machine")
    if not rejected and all(manager.name in diagnosis.away for manager in settings.managers):
        addresses = ", ".join(str(manager.address) for manager in settings.managers)
        why = f"all managers are lost, and no machine answers at {addresses}, so Requorum cannot restore a copy"
        return Refusal(why, f"start a fresh machine at one of {addresses}, then: requorum plan", code="no-machine")
    limit = f" that requorum:copy ({settings.copy_from}) allows" if settings.copy_from else ""
    if rejected and all(one.code == "wrong-identity" for one in rejected):
        owners = (
            " or ".join(dict.fromkeys(key for one in rejected for key in one.recipients)) or "one of their recipients"
        )
        why = (
            f"all managers are lost. {_there(rejected, limit)}, and no identity in requorum:backup.identityFile opens any of them. "
            f"The newest is {_newest(rejected)}"
        )
        remedy = f"set requorum:backup.identityFile to the identity of {owners}, then: requorum plan"
        return Refusal(why, remedy, code="wrong-identity")
    if not rejected:
        where = ", ".join(f"s3://{site.name}/{site.prefix}/{settings.cluster}" for site in settings.backup.sites)
        why = f"all managers are lost, and S3 holds no copy of cluster {settings.cluster}{limit} at {where}"
        remedy = (
            "correct requorum:backup (bucket, prefix) or requorum:cluster, or put the copies back. Then: requorum plan"
        )
        return Refusal(why, remedy, code="no-good-copy")
    detail = "".join(f"\n  {line}" for line in reasons(rejected))
    why = f"all managers are lost. {_there(rejected, limit)}, and none is good{detail}"
    return Refusal(why, "list the copies and what is wrong with them: requorum copies list", code="no-good-copy")


def _newest(rejected: Sequence[Rejected]) -> str:
    return max(rejected, key=lambda one: one.copy.dated).copy.name


def _there(rejected: Sequence[Rejected], limit: str) -> str:
    return f"{_counted(len(rejected))}{limit} {'is' if len(rejected) == 1 else 'are'} there"


def _counted(number: int) -> str:
    return "1 copy" if number == 1 else f"{number} copies"
