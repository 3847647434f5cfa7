"""boto3's client for S3: its time limits, its retries, and the checksums it adds to requests."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

from recovery.s3 import once
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


class Descriptions(Loader):
    """botocore's descriptions of services. It takes each folder for the service of that name.

    botocore looks into all of its more than 400 folders before it makes one client, which takes as long as the rest.
    """

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - a folder without that type has no version
        """The names of all services."""
        folders = (Path(folder) for folder in dict.fromkeys(self.search_paths))  # each boto3 session adds its own again
        return sorted({entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir()})


@cache
def _descriptions(*folders: str) -> Descriptions:
    """The descriptions in these folders, shared by all sessions: each is a megabyte of JSON."""
    return Descriptions(list(folders), include_default_search_paths=False)


@cache
def session(profile: str | None) -> boto3.Session:
    """boto3's session, shared by the clients of a profile: it reads credentials once."""
    core = botocore.session.get_session()
    core.register_component(
        "data_loader", _descriptions(*dict.fromkeys(core.get_component("data_loader").search_paths))
    )
    return boto3.Session(botocore_session=core, profile_name=profile)


@cache
def client(bucket: Bucket, pace: RequestLimits, *, only_new: bool = False) -> "S3Client":
    """boto3's client, cached for each bucket and pace: making a client takes longer than using it.

    With ``only_new``, its uploads replace no object.
    """
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
    if only_new:
        once.require_new(made)
    return made
