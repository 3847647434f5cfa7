"""boto3's client for S3: its time limits, its retries, and the checksums it adds to requests."""

from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Literal

import boto3
from botocore.config import Config

from recovery.s3.bucket import Bucket
from recovery.s3.deadline import bound

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class RequestLimits:
    """Limits of requests: seconds to connect, seconds without progress while reading, and how many tries."""

    connect: float
    read: float
    tries: int


QUICK = RequestLimits(2, 2, 1)
"""For requests that must not take long."""
PATIENT = RequestLimits(2, 10, 2)
BULK = RequestLimits(5, 60, 5)
"""For the archives of copies: a lost part is sent again."""
_making = Lock()
"""A session makes one client at a time. It is not safe for several threads; its clients are."""


@cache
def session(profile: str | None) -> boto3.Session:
    """boto3's session, shared by the clients of a profile: it reads credentials and the description of S3 once."""
    return boto3.Session(profile_name=profile)


@cache
def client(bucket: Bucket, pace: RequestLimits) -> "S3Client":
    """boto3's client, cached for each bucket and pace: making a client takes longer than using it."""
    # S3-compatible servers stumble over checksums they do not know (botocore#3352).
    checksums: Literal["when_required", "when_supported"] = "when_supported" if bucket.checked else "when_required"
    config = Config(
        connect_timeout=pace.connect,
        read_timeout=pace.read,
        retries={"total_max_attempts": pace.tries, "mode": "standard"},
        max_pool_connections=16,
        s3={"addressing_style": "path"} if bucket.endpoint else {},
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
    )
    with _making:
        made = session(bucket.profile).client(
            "s3", region_name=bucket.region, endpoint_url=bucket.endpoint, config=config
        )
    bound(made, pace.read)
    return made
