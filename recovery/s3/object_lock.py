"""The Object Lock that protects kept objects from deletion (requorum:backup.lock)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from recovery.errors import StoreError
from recovery.s3.bucket import Bucket
from recovery.s3.server_errors import NO_LOCK, code_of, is_not_offered, status_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class ObjectLock:
    """The locks of one bucket's objects, by the keys in that bucket. Without requorum:backup.lock, nothing is locked.

    Requests raise the errors of boto3.
    """

    def __init__(self, bucket: Bucket, s3: Callable[[], "S3Client"]) -> None:
        self._bucket, self._s3 = bucket, s3
        self._is_enabled = False
        """Whether the bucket was found to have Object Lock."""

    @property
    def writing(self) -> dict[str, Any]:
        """The parameters of a write: a lock that starts now."""
        if not self._bucket.lock:
            return {}
        until = datetime.now(UTC) + timedelta(days=self._bucket.lock_days)
        return {"ObjectLockMode": self._bucket.lock.upper(), "ObjectLockRetainUntilDate": until}

    def require_enabled(self) -> None:
        """If objects are to be locked, check once that the bucket has Object Lock. Raises: StoreError when it has not."""
        if not self._bucket.lock or self._bucket.write_only or self._is_enabled:
            return
        found = self._s3().get_object_lock_configuration(Bucket=self._bucket.name)
        if found["ObjectLockConfiguration"].get("ObjectLockEnabled") != "Enabled":
            raise StoreError(
                f"reading the Object Lock (requorum:backup.lock) of {self._bucket.where}",
                "the bucket has no Object Lock",
                remedy=NO_LOCK,
                code="s3-not-supported",
            )
        self._is_enabled = True

    def prolong(self, key: str) -> None:
        """Extend an object's lock to the end of a lock that starts now. A longer lock stays as it is."""
        wanted = self.writing
        found = self._retention(key) or {}
        if (until := found.get("RetainUntilDate")) and until >= wanted["ObjectLockRetainUntilDate"]:
            return
        retention: Any = {
            "Mode": found.get("Mode") or wanted["ObjectLockMode"],
            "RetainUntilDate": wanted["ObjectLockRetainUntilDate"],
        }
        self._s3().put_object_retention(Bucket=self._bucket.name, Key=key, Retention=retention)

    def is_kept(self, key: str, answer: Mapping[str, Any]) -> bool:
        """Whether an object is locked as requested. ``answer`` is the answer to its HEAD, in which some servers show no lock."""
        return not self._bucket.lock or bool(answer.get("ObjectLockMode")) or self._retention(key) is not None

    def _retention(self, key: str) -> Mapping[str, Any] | None:
        """An object's lock: None if it has none; empty if the credentials may not read it."""
        try:
            found = self._s3().get_object_retention(Bucket=self._bucket.name, Key=key)
        except ClientError as error:
            if status_of(error) >= 500 and not is_not_offered(error):
                raise
            return {} if code_of(error) == "AccessDenied" else None
        return found["Retention"]
