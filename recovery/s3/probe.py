"""Which features an S3 server really has: each is requested, and its effect is checked.

Some servers refuse an unsupported request, others accept it and do nothing. An accepted request is therefore no proof that a
copy is locked or encrypted. The probe writes one small object below ``PREFIX/CLUSTER/probe/``, and removes it.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from time import sleep
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from recovery.errors import StoreError
from recovery.s3.bucket import Bucket
from recovery.s3.capability import REACHABLE, Capabilities, Capability, ProbeResult
from recovery.s3.encryption import ServerSideEncryption
from recovery.s3.server_errors import code_of, is_not_offered, status_of
from recovery.s3.site import CHANGED, Site
from recovery.waiting import until

BODY = b"requorum: may be deleted"
LOCK_SECONDS = 3
"""How long the probe is locked: by the server's clock, so that no other clock counts."""
TICK_SECONDS = 1.1
"""S3 tells times by the second."""
PATIENCE = 10
"""Seconds for a lock to end, beyond its own."""


def probe(sites: Iterable[Site], folder: str) -> tuple[Capabilities, ...]:
    """The features of each site, found out by an object in that folder. Raises: SettingError."""
    return tuple(_Probe(site, folder + uuid4().hex).offers() for site in sites)


class _Probe:
    """One object at one site, and the questions that are asked with it."""

    def __init__(self, site: Site, key: str) -> None:
        self._site, self._key = site, key
        self._at: dict[str, Any] = {"Bucket": site.bucket.name, "Key": site.own(key)}
        self._lock: dict[str, Any] = {}
        self._versions: list[str] = []

    def offers(self) -> Capabilities:
        """Ask everything, then remove the object."""
        bucket = self._site.bucket
        try:
            self._site.keys(self._key)
        except StoreError as error:
            return Capabilities(
                self._site.name, self._site.where, (Capability(REACHABLE, ProbeResult.NO, error.why, "everything"),)
            )
        try:
            found = (
                Capability(REACHABLE, ProbeResult.YES, needed="everything"),
                self._one("object lock", self._locking, "backup.lock" if bucket.lock else ""),
                self._one("versioning", self._versioning, "backup.asOf" if bucket.as_of else ""),
                self._one("conditional writes", self._conditions, "the lease of two operators"),
                self._one(*self._encrypting(bucket)),
                self._one("multipart uploads", self._parts, "copies above 8 MiB"),
                self._one("checksums", self._checksums, "backup.checksums" if bucket.checked else ""),
            )
        finally:
            removed = self._one("removal", self._remove, "nothing left behind")
        return Capabilities(self._site.name, self._site.where, (*found, removed))

    def _one(self, what: str, question: Callable[[], tuple[ProbeResult, str]], needed: str) -> Capability:
        try:
            answer, detail = question()
        except ClientError as error:
            answer = ProbeResult.NO if is_not_offered(error) else ProbeResult.UNKNOWN
            detail = f"{error.operation_name}: {code_of(error)} {error.response['Error'].get('Message', '')}"
        except BotoCoreError as error:
            answer, detail = ProbeResult.UNKNOWN, str(error)
        return Capability(what, answer, detail, needed)

    def _locking(self) -> tuple[ProbeResult, str]:
        s3 = self._site.s3
        try:
            found = s3.get_object_lock_configuration(Bucket=self._at["Bucket"])
        except ClientError as error:
            if code_of(error) == "ObjectLockConfigurationNotFoundError":
                return ProbeResult.NO, "the bucket was created without Object Lock"
            raise
        if found["ObjectLockConfiguration"].get("ObjectLockEnabled") != "Enabled":
            return ProbeResult.NO, "the server does not report Object Lock as enabled"
        until = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"]) + timedelta(
            seconds=LOCK_SECONDS
        )
        self._lock = {
            "ObjectLockMode": "GOVERNANCE",
            "ObjectLockRetainUntilDate": until,
            "ChecksumAlgorithm": "SHA256",
        }
        self._put()
        try:
            kept = s3.get_object_retention(**self._at)["Retention"].get("Mode")
        except ClientError as error:
            if code_of(error) == "AccessDenied":
                raise
            kept = None
        return (
            (ProbeResult.YES, "")
            if kept == "GOVERNANCE"
            else (ProbeResult.IGNORED, "the server stored the object without a lock")
        )

    def _versioning(self) -> tuple[ProbeResult, str]:
        """Whether the bucket is versioned, and an overwritten version keeps its time, by which requorum:backup.asOf goes."""
        s3 = self._site.s3
        status = s3.get_bucket_versioning(Bucket=self._at["Bucket"]).get("Status")
        if status != "Enabled":
            return ProbeResult.NO, f"versioning of the bucket is {status or 'off'}"
        self._put()
        version = {**self._at, "VersionId": self._versions[-1], **self._site.rest.reading}
        written = s3.head_object(**version)["LastModified"]
        sleep(TICK_SECONDS)
        self._put()
        if s3.head_object(**version)["LastModified"] != written:
            return ProbeResult.NO, "the server changed the time of a version when the object was overwritten"
        return ProbeResult.YES, ""

    def _conditions(self) -> tuple[ProbeResult, str]:
        self._put()
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": f'"{"0" * 32}"'}):
            try:
                self._put(**condition)
            except ClientError as error:
                if code_of(error) not in CHANGED:
                    raise
            else:
                return ProbeResult.IGNORED, f"the server overwrote the object despite {next(iter(condition))}"
        return ProbeResult.YES, ""

    def _encrypting(self, bucket: Bucket) -> tuple[str, Callable[[], tuple[ProbeResult, str]], str]:
        asked = bucket.encryption
        rest = ServerSideEncryption(bucket if asked else replace(bucket, encryption="s3"))

        def question() -> tuple[ProbeResult, str]:
            self._put(**rest.writing)
            found = self._site.s3.head_object(**self._at, **rest.reading)
            return (
                (ProbeResult.YES, "")
                if rest.is_kept(found)
                else (ProbeResult.IGNORED, "the server stored the object unencrypted")
            )

        return f"encryption ({asked or 's3'})", question, "backup.encryption" if asked else ""

    def _parts(self) -> tuple[ProbeResult, str]:
        s3, rest = self._site.s3, self._site.rest
        checksum = "ChecksumAlgorithm" in self._lock
        upload = s3.create_multipart_upload(**self._at, **rest.writing, **self._lock)["UploadId"]
        try:
            customer = rest.reading
            algorithm: Any = {"ChecksumAlgorithm": "SHA256"} if checksum else {}
            part = s3.upload_part(**self._at, UploadId=upload, PartNumber=1, Body=BODY, **customer, **algorithm)
            sums = {"ChecksumSHA256": part["ChecksumSHA256"]} if "ChecksumSHA256" in part else {}
            parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"], **sums}]}
            made = s3.complete_multipart_upload(**self._at, UploadId=upload, MultipartUpload=parts, **customer)
        except ClientError:
            with suppress(ClientError):
                s3.abort_multipart_upload(**self._at, UploadId=upload)
            raise
        self._note(made)
        size = s3.head_object(**self._at, **customer)["ContentLength"]
        return (
            (ProbeResult.YES, "")
            if size == len(BODY)
            else (ProbeResult.NO, f"the parts became an object of {size} bytes instead of {len(BODY)}")
        )

    def _checksums(self) -> tuple[ProbeResult, str]:
        wrong = base64.b64encode(hashlib.sha256(b"something else").digest()).decode()
        try:
            self._put(ChecksumSHA256=wrong)
        except ClientError as error:
            if status_of(error) == 400 and not is_not_offered(error):
                return ProbeResult.YES, ""
            raise
        return ProbeResult.IGNORED, "the server accepted an object with a wrong SHA-256"

    def _put(self, **extra: Any) -> None:
        self._note(
            self._site.s3.put_object(**self._at, Body=BODY, **{**self._site.rest.writing, **self._lock, **extra})
        )

    def _note(self, answer: Mapping[str, Any]) -> None:
        if version := answer.get("VersionId"):
            self._versions.append(version)

    def _remove(self) -> tuple[ProbeResult, str]:
        """Every version that was written, once its lock has ended."""
        for version in self._versions:
            self._remove_version(version)
        if not self._versions:
            self._site.s3.delete_object(**self._at)
        return ProbeResult.YES, ""

    def _remove_version(self, version: str) -> None:
        def refusal() -> ClientError | None:
            try:
                self._site.s3.delete_object(**self._at, VersionId=version)
            except ClientError as error:
                if code_of(error) != "AccessDenied":
                    raise
                return error
            return None

        seconds = LOCK_SECONDS + PATIENCE if self._lock else 0
        if error := until(refusal, seconds, holds=lambda error: error is None, pause=1):
            raise error
