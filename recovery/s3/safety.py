"""Whether a bucket keeps what somebody deletes or overwrites: versioning, and a lock. Asks, and writes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from recovery.s3.bucket import Bucket
from recovery.s3.server_errors import is_not_offered
from recovery.s3.site import Site


@dataclass(frozen=True)
class Safety:
    """What one site's bucket keeps. ``versioned`` is None if its server does not tell."""

    site: str
    bucket: Bucket
    versioned: bool | None


def ask(sites: Iterable[Site]) -> tuple[Safety, ...]:
    """The safety of each site. An error of S3 is no answer. Raises: SettingError."""
    return tuple(Safety(one.name, one.bucket, _versioned(one)) for one in sites)


def _versioned(site: Site) -> bool | None:
    try:
        told = site.s3.get_bucket_versioning(Bucket=site.bucket.name)
    except ClientError as error:
        return False if is_not_offered(error) else None
    except BotoCoreError:
        return None
    return told.get("Status") == "Enabled"
