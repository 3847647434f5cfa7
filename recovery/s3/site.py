"""One bucket in S3, through boto3. All other modules read and write it through this one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any, TypeVar

from boto3.exceptions import Boto3Error, RetriesExceededError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ProfileNotFound,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as NoConnection

from recovery.errors import StoreError, StoreSilent
from recovery.s3 import client, once, small
from recovery.s3.bucket import SITES, Bucket
from recovery.s3.client import BULK, PATIENT, RequestLimits
from recovery.s3.clock import skew
from recovery.s3.encryption import ServerSideEncryption
from recovery.s3.line import line
from recovery.s3.object_lock import ObjectLock
from recovery.s3.server_errors import NO_LOCK, NOT_OFFERED, code_of, explain, status_of
from recovery.s3.versions import as_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef


T = TypeVar("T")

READS = 3
"""How often a small object is read whose content breaks off."""
READ_PAUSE = 0.1
"""Seconds; by then a small object is written."""
UNREACHABLE = (NoConnection, HTTPClientError, IncompleteReadError, RetriesExceededError, ConnectionError)
"""What boto3 raises where no answer, or not all of it, came."""
CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"})
"""The answers to a conditional write when the object is not as expected."""
NO_UPLOAD = "NoSuchUpload"
CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile in requorum:{at}.profile. "
    'In the lab: eval "$(make -s env)"'
)
NODES_CREDENTIALS = (
    "set requorum:agent.credentialsFile to an AWS credentials file with a key for the nodes, then: pulumi up. Or give the "
    "machines a role"
)
UNVERSIONED = "remove requorum:backup.asOf, or name a bucket with versioning"


@dataclass(frozen=True)
class Upload:
    """A multipart upload that runs or was interrupted."""

    key: str
    id: str
    begun: datetime


@dataclass(frozen=True)
class Listed:
    """An object's entry in a listing."""

    written: datetime
    """When it was written last; in a listing as of a time, that time."""
    size: int
    """Bytes."""


class Site:
    """The bucket of one site. Keys are the main site's, even if this site has another prefix.

    Objects are listed and read as of the time ``then``; None is now. Writes are always made now.
    Each method raises StoreError; its subclass StoreSilent when the server does not answer.
    """

    def __init__(
        self,
        bucket: Bucket,
        *,
        at: str = SITES[0],
        prefix: str = "",
        pace: RequestLimits = PATIENT,
        then: datetime | None = None,
    ) -> None:
        self.bucket = bucket
        self.name = "main" if at == SITES[0] else "second"
        self.where = bucket.where
        self.rest = ServerSideEncryption(bucket)
        self._lock = ObjectLock(bucket, lambda: self.s3)
        self._line = line(bucket.megabytes_per_second)
        self._at, self._prefix, self._pace, self._then = at, prefix or bucket.prefix, pace, then
        self.skew = timedelta(0)
        """How far the clock here was ahead of the server's at the last write of a small object."""
        self._is_versioned = False
        """Whether the bucket was found to have versioning."""

    @property
    def s3(self) -> "S3Client":
        """The boto3 client, for requests that only one caller makes."""
        return client.client(self.bucket, self._pace)

    def own(self, key: str) -> str:
        """The key in this bucket."""
        return self.bucket.prefix + key.removeprefix(self._prefix)

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key below the prefix."""
        return tuple(self.listed(prefix))

    def listed(self, prefix: str) -> dict[str, Listed]:
        """Every object below the prefix, by key."""
        if not self._then:
            return {key: Listed(entry["LastModified"], entry["Size"]) for key, entry in self._listed(prefix).items()}
        with self.doing("listing"):
            found = self._versions(self.own(prefix))
        return {
            self._prefix + key.removeprefix(self.bucket.prefix): Listed(self._then, entry["Size"])
            for key, entry in found.items()
        }

    def _listed(self, prefix: str) -> "dict[str, ObjectTypeDef]":
        with self.doing("listing"):
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket.name, Prefix=self.own(prefix))
            found: dict[str, ObjectTypeDef] = {}
            for page in pages:
                if "Name" not in page:  # as any 200 without content: no empty bucket
                    raise StoreError(
                        f"listing {self.where}",
                        "the answer is not an S3 listing",
                        remedy=f"correct requorum:{self._at}.endpoint",
                        code="s3-wrong-answer",
                    )
                found |= {entry["Key"]: entry for entry in page.get("Contents", ())}
        return {self._prefix + key.removeprefix(self.bucket.prefix): entry for key, entry in found.items()}

    def look(self, key: str) -> tuple[bytes, str] | None:
        """A small object's content (`small.read`) and ETag, or None if there is no such object.

        For credentials that may not list, such as an agent's, S3 answers "denied" when there is no such object.
        """
        with self.doing(f"reading {key} from"):
            if (version := self._version(key)) is None:
                return None
            try:
                return self._content(key, version)
            except ClientError as error:
                if code_of(error) == "NoSuchKey" or (self.bucket.write_only and code_of(error) == "AccessDenied"):
                    return None
                raise

    def download(self, key: str, path: Path) -> bool:
        """Download an object into a local file; False if there is no such object."""
        with self.doing(f"reading {key} from"):
            if (version := self._version(key)) is None:
                return False

            def fetch(**extra: Any) -> None:
                with self._line.turn:
                    client.client(self.bucket, BULK).download_file(
                        self.bucket.name, self.own(key), str(path), ExtraArgs=extra, Config=self._line.transfer
                    )

            try:
                self._read(fetch, **version)
            except ClientError as error:
                if code_of(error) in ("NoSuchKey", "404"):
                    return False
                raise
            return True

    def put(self, key: str, content: bytes) -> None:
        """Write a small object that may be overwritten and deleted."""
        with self.doing(f"writing {key} to"):
            self._put(key, content)

    def put_where(self, key: str, content: bytes, seen: tuple[bytes, str] | None) -> bool:
        """Write a small object if it is still as `look` returned it in ``seen``; whether it was.

        The object is read again before the write: some servers refuse conditional writes, and some ignore the condition.
        """
        with self.doing(f"writing {key} to"):
            if self._now(key) != seen:
                return False
            try:
                self._put(key, content, **({"IfMatch": seen[1]} if seen else {"IfNoneMatch": "*"}))
            except ClientError as error:
                if code_of(error) in CHANGED:
                    return False
                if code_of(error) != "NotImplemented":
                    raise
                self._put(key, content)
            return True

    def heeds_conditions(self, key: str, content: bytes) -> bool:
        """Whether the server refuses to overwrite an existing object with ``If-None-Match``. A server that ignores it writes."""
        with self.doing(f"writing {key} to"):
            try:
                self._put(key, content, IfNoneMatch="*")
            except ClientError as error:
                if code_of(error) not in (*CHANGED, "NotImplemented"):
                    raise
                return code_of(error) in CHANGED
            return False

    def upload(self, path: Path, key: str) -> None:
        """Upload a local file as a kept object: locked if the settings ask for that, checked, and by an agent only if it is new."""
        self.require_lock()
        with self.doing(f"writing {key} to"):
            with self._line.turn:
                once.write(
                    self.bucket.write_only,
                    lambda only_new: client.client(self.bucket, BULK, only_new=only_new).upload_file(
                        str(path), self.bucket.name, self.own(key), ExtraArgs=self._kept, Config=self._line.transfer
                    ),
                )
            self._check(key, path.stat().st_size)

    def keep(self, key: str, content: bytes) -> None:
        """Write a small kept object, as `upload` does."""
        self.require_lock()
        with self.doing(f"writing {key} to"):
            more = {True: once.ONLY_NEW, False: {}}
            once.write(self.bucket.write_only, lambda only: self._put(key, content, **self._kept, **more[only]))
            self._check(key, len(content))

    def prolong(self, key: str) -> None:
        """Extend the lock of a kept object to the end of a lock that starts now. Without requorum:backup.lock, do nothing."""
        if self.bucket.lock is None:
            return
        self.require_lock()  # a server that does not know locks takes the new one for the object's new content
        with self.doing(f"locking {key} in"):
            self._lock.prolong(self.own(key))

    def delete(self, key: str) -> bool:
        """Delete an object; a missing object is no error. Whether the bucket has versioning and keeps the old version."""
        with self.doing(f"deleting {key} from"):
            return bool(self.s3.delete_object(Bucket=self.bucket.name, Key=self.own(key)).get("DeleteMarker"))

    def uploads(self, prefix: str) -> tuple[Upload, ...]:
        """The multipart uploads below the prefix. No other listing shows their parts."""
        with self.doing("listing the uploads to"):
            pages = self.s3.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket.name, Prefix=self.own(prefix)
            )
            try:
                found = [entry for page in pages for entry in page.get("Uploads", ())]
            except ClientError as error:
                if code_of(error) != NO_UPLOAD:
                    raise
                return ()  # so rclone calls a bucket that never had any
        return tuple(
            Upload(self._prefix + one["Key"].removeprefix(self.bucket.prefix), one["UploadId"], one["Initiated"])
            for one in found
        )

    def abort(self, upload: Upload) -> None:
        """Delete the parts of a multipart upload; an upload that has ended is no error."""
        with self.doing(f"aborting an upload of {upload.key} to"):
            try:
                self.s3.abort_multipart_upload(Bucket=self.bucket.name, Key=self.own(upload.key), UploadId=upload.id)
            except ClientError as error:
                if code_of(error) != NO_UPLOAD:
                    raise

    def require_lock(self) -> None:
        """With requorum:backup.lock, check once that the bucket has Object Lock. Raises: StoreError when it has not."""
        with self.doing("reading the Object Lock (requorum:backup.lock) of"):
            self._lock.require_enabled()

    @contextmanager
    def doing(self, verb: str) -> Iterator[None]:
        """Run requests, and raise their errors as StoreError."""
        doing = f"{verb} {self.where}" + (" (the second site)" if self.name == "second" else "")
        try:
            yield
        except ClientError as error:
            raise explain(error, doing, self.bucket, self._at) from None
        except (NoCredentialsError, ProfileNotFound) as error:
            raise StoreError(
                doing,
                str(error),
                remedy=NODES_CREDENTIALS if self.bucket.write_only else CREDENTIALS.format(at=self._at),
                code="s3-denied",
            ) from None
        except UNREACHABLE as error:
            remedy = f"start the server, or correct requorum:{self._at}.endpoint"
            raise StoreSilent(doing, f"S3 cannot be reached ({error})", remedy=remedy, code="s3-silent") from None
        except (BotoCoreError, Boto3Error, ValueError) as error:
            if isinstance(error.__context__, ClientError):  # of an upload
                raise explain(error.__context__, doing, self.bucket, self._at) from None
            raise StoreError(doing, str(error), remedy=f"correct requorum:{self._at}", code="s3-refused") from None
        except OSError as error:
            raise StoreError(
                doing, f"the local file: {error.strerror}", remedy="free disk space in TMPDIR", code="disk-failed"
            ) from None

    def _put(self, key: str, content: bytes, **extra: Any) -> None:
        given = {**self.rest.writing, **extra}
        answer = self.s3.put_object(Bucket=self.bucket.name, Key=self.own(key), Body=content, **given)
        self.skew = skew(answer, datetime.now(UTC))

    def _read(self, read: Callable[..., T], **given: Any) -> T:
        """Read with the customer's key; without it, an object that was written before the key was set."""
        try:
            return read(**given, **self.rest.reading)
        except ClientError as error:
            if not self.rest.reading or status_of(error) != 400:
                raise
            try:
                return read(**given)
            except ClientError:
                raise error from None

    def _content(self, key: str, version: dict[str, str], tries: int = READS) -> tuple[bytes, str]:
        """A small object's content and ETag; the request is repeated if the answer ends early.

        Some servers end an answer early while the object is being written. boto3 repeats only requests without an answer.
        """
        found = self._read(self.s3.get_object, Bucket=self.bucket.name, Key=self.own(key), **version)
        try:
            return small.read(found["Body"]), found["ETag"]
        except (ResponseStreamingError, IncompleteReadError):
            if tries == 1:
                raise
        sleep(READ_PAUSE)
        return self._content(key, version, tries - 1)

    def _now(self, key: str) -> tuple[bytes, str] | None:
        """As `look`, of what is there now, for any credentials."""
        try:
            return self._content(key, {})
        except ClientError as error:
            if code_of(error) in ("NoSuchKey", "AccessDenied"):
                return None
            raise

    def _check(self, key: str, size: int) -> None:
        """Check the size, encryption and lock of a written object, if the credentials may. Raises: StoreError."""
        if self.bucket.write_only:
            return
        found = self.s3.head_object(Bucket=self.bucket.name, Key=self.own(key), **self.rest.reading)
        doing = f"checking {key}, written to {self.where}"
        if found["ContentLength"] != size:
            raise StoreError(
                doing,
                f"{found['ContentLength']} of {size} bytes are there",
                remedy="run the same command again",
                code="s3-wrong-answer",
            )
        if not self.rest.is_kept(found):
            why = "the server ignored requorum:backup.encryption"
            raise StoreError(doing, why, remedy=NOT_OFFERED, code="s3-not-supported")
        if not self._lock.is_kept(self.own(key), found):
            why = "the server ignored requorum:backup.lock"
            raise StoreError(doing, why, remedy=NO_LOCK, code="s3-not-supported")

    @property
    def _kept(self) -> dict[str, Any]:
        """The arguments for writing a kept object. S3 accepts a lock only with a checksum."""
        checksum = {"ChecksumAlgorithm": "SHA256"} if self.bucket.checked or self.bucket.lock else {}
        return {**self.rest.writing, **checksum, **self._lock.writing}

    def _version(self, key: str) -> dict[str, str] | None:
        """The version of an object to read; None if there was no such object at that time."""
        if not self._then:
            return {}
        entry = self._versions(self.own(key)).get(self.own(key))
        return {"VersionId": entry["VersionId"]} if entry else None

    def _versions(self, prefix: str) -> dict[str, Mapping[str, Any]]:
        assert self._then
        self._require_versioned()
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket.name, Prefix=prefix)
        return as_of(pages, self._then)

    def _require_versioned(self) -> None:
        """Check once that the bucket has versioning. Raises: StoreError when it has not."""
        if self._is_versioned:
            return
        found = self.s3.get_bucket_versioning(Bucket=self.bucket.name)
        if "Status" not in found:
            raise StoreError(
                f"reading {self.where} as of {self._then}",
                "the bucket is not versioned",
                remedy=UNVERSIONED,
                code="s3-not-supported",
            )
        self._is_versioned = True
