"""S3, through boto3: the one place that copies are written to and read from."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound

from recovery.errors import StoreError, StoreSilent
from recovery.settings import Backup

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS = 2
READ_SECONDS = 10
TRIES = 2
CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"})
"""What a conditional write is answered when the object is not as expected."""
REMEDIES = {
    "NoSuchBucket": "create the bucket, or correct requorum:backup.bucket",
    "InvalidAccessKeyId": "correct the access key (AWS_ACCESS_KEY_ID, or the profile of requorum:backup.profile)",
    "SignatureDoesNotMatch": "correct the secret key (AWS_SECRET_ACCESS_KEY, or the profile of requorum:backup.profile)",
    "AccessDenied": "allow this key to list, read and write below the prefix, and to delete where it prunes",
    "403": "correct the key, or allow it to list, read and write below the prefix",
    "404": "create the bucket, or correct requorum:backup.bucket",
    "NoSuchKey": "list what is there: requorum backups",
    "RequestTimeTooSkewed": "set this machine's clock",
}


class Store:
    """One bucket; ``hasty`` gives up after one short try, for a look that must not take long."""

    def __init__(self, backup: Backup, *, hasty: bool = False) -> None:
        self.bucket = backup.bucket
        self._where = f"s3://{backup.bucket}" + (f" at {backup.endpoint}" if backup.endpoint else "")
        with self._doing("opening"):
            self._s3 = _client(backup, hasty)

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key below the prefix. Raises: StoreError."""
        return tuple(self.sizes(prefix))

    def sizes(self, prefix: str) -> dict[str, int]:
        """The size in bytes of every object below the prefix, by key. Raises: StoreError."""
        with self._doing("listing"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", ())}

    def get(self, key: str) -> bytes:
        """An object's content. Raises: StoreError."""
        with self._doing(f"reading {key} from"):
            return self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def put(self, key: str, content: bytes) -> None:
        """Write a small object. Raises: StoreError."""
        with self._doing(f"writing {key} to"):
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=content)

    def look(self, key: str) -> tuple[bytes, str] | None:
        """A small object's content and ETag, or None where there is none. Raises: StoreError."""
        with self._doing(f"reading {key} from"):
            try:
                found = self._s3.get_object(Bucket=self.bucket, Key=key)
            except self._s3.exceptions.NoSuchKey:
                return None
            return found["Body"].read(), found["ETag"]

    def put_where(self, key: str, content: bytes, etag: str | None) -> str | None:
        """Write a small object where there is none, or in place of the one with that ETag; its ETag, or None where it was not so.

        A server that does not know conditional writes is asked first, and then written to. Raises: StoreError.
        """
        with self._doing(f"writing {key} to"):
            try:
                if etag is None:
                    return self._s3.put_object(Bucket=self.bucket, Key=key, Body=content, IfNoneMatch="*")["ETag"]
                return self._s3.put_object(Bucket=self.bucket, Key=key, Body=content, IfMatch=etag)["ETag"]
            except ClientError as error:
                code = error.response["Error"].get("Code", "")
                if code in CHANGED:
                    return None
                if code != "NotImplemented":
                    raise
        found = self.look(key)
        if (found[1] if found else None) != etag:
            return None
        self.put(key, content)
        written = self.look(key)
        return written[1] if written else None

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error. Raises: StoreError."""
        with self._doing(f"deleting {key} from"):
            self._s3.delete_object(Bucket=self.bucket, Key=key)

    def download(self, key: str, path: Path) -> None:
        """An object's content into a local file. Raises: StoreError."""
        with self._doing(f"reading {key} from"):
            self._s3.download_file(self.bucket, key, str(path))

    def upload(self, path: Path, key: str) -> None:
        """Write a local file as an object. Raises: StoreError."""
        with self._doing(f"writing {key} to"):
            self._s3.upload_file(str(path), self.bucket, key)

    @contextmanager
    def _doing(self, verb: str) -> Iterator[None]:
        doing = f"{verb} {self._where}"
        try:
            yield
        except ClientError as error:
            code = error.response["Error"].get("Code", "")
            message = error.response["Error"].get("Message", "")
            raise StoreError(
                doing, f"{code}: {message}", remedy=REMEDIES.get(code, "see the S3 server's log")
            ) from None
        except (NoCredentialsError, ProfileNotFound) as error:
            raise StoreError(
                doing, str(error), remedy='give credentials as for any AWS client; in the lab: eval "$(make -s env)"'
            ) from None
        except (BotoCoreError, Boto3Error, OSError, ValueError) as error:
            raise StoreSilent(
                doing, f"it cannot be reached ({error})", remedy="start the server, or correct requorum:backup.endpoint"
            ) from None


@cache
def _client(backup: Backup, hasty: bool) -> "S3Client":
    """One client for each set of settings: making one takes longer than using it."""
    checksums: Literal["when_required", "when_supported"] = "when_required" if backup.endpoint else "when_supported"
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=CONNECT_SECONDS if hasty else READ_SECONDS,
        retries={"total_max_attempts": 1 if hasty else TRIES, "mode": "standard"},
        max_pool_connections=16,
        s3={"addressing_style": "path"} if backup.endpoint else {},
        # S3-compatible servers stumble over checksums they do not know (botocore#3352).
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
    )
    session = boto3.Session(profile_name=backup.profile, region_name=backup.region)
    return session.client("s3", endpoint_url=backup.endpoint, config=config)
