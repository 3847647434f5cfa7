"""A bucket in S3: where it is, and how it is written and read."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

SITES = ("backup", "backup.second")
"""The settings of the main site and the second."""


@dataclass(frozen=True)
class Bucket:
    """One site's bucket, with all that its settings say of it. Credentials come from boto3's own chain."""

    name: str
    prefix: str
    endpoint: str | None = None
    region: str = "us-east-1"
    profile: str | None = None
    checked: bool = True
    """Whether S3 checks what is written by SHA-256."""
    encryption: Literal["s3", "kms", "customer"] | None = None
    """Who encrypts at rest on the server, and by which key."""
    kms_key_id: str | None = None
    key_file: Path | None = None
    """Holds the customer's key."""
    lock: Literal["governance", "compliance"] | None = None
    """The Object Lock of what is kept."""
    lock_days: int = 0
    as_of: datetime | None = None
    """As of when copies and unlock keys are read; None is now."""
    megabytes_per_second: float | None = None
    """The most that copies take of the line; 10**6 bytes."""
    write_only: bool = False
    """The credentials may not read: what is written is not looked at afterwards."""

    @property
    def where(self) -> str:
        """The bucket's address, as messages show it."""
        return f"s3://{self.name}" + (f" at {self.endpoint}" if self.endpoint else "")
