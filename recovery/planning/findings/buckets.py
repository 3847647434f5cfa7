"""Buckets in which whoever has a key can destroy every copy."""

import shlex
from collections.abc import Iterator, Sequence

from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy, Weight
from recovery.s3.safety import Safety


def judge(buckets: Sequence[Safety]) -> Iterator[Finding]:
    """Advice for each bucket without versioning and without a lock. A lock needs versioning."""
    for one in buckets:
        bucket = one.bucket
        if one.versioned is False and not bucket.lock:
            trouble = f"{bucket.where} has no versioning and no lock: who may write there can destroy every copy"
            where = {"--bucket": bucket.name, "--endpoint-url": bucket.endpoint, "--profile": bucket.profile}
            named = (word for option, value in where.items() if value for word in (option, value))
            versioning = ("--versioning-configuration", "Status=Enabled")
            command = shlex.join(("aws", "s3api", "put-bucket-versioning", *named, *versioning))
            proposals = (
                Proposal(
                    Remedy.SETTING, command, "keeps what is deleted or overwritten. Then requorum:backup.asOf finds it"
                ),
                Proposal(
                    Remedy.SETTING,
                    "set requorum:backup.lock, for a bucket with Object Lock",
                    "lets nobody delete a copy",
                ),
            )
            evidence = ("versioning: off or not offered", "requorum:backup.lock: not set")
            yield Finding(f"{one.site}-site", trouble, proposals, Kind.BUCKET_UNSAFE, evidence, Weight.ADVICE)
