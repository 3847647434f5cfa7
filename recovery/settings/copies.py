"""Where copies and unlock keys live, who can read them, and for how long they stay."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from recovery.errors import SettingError
from recovery.s3.bucket import SITES, Bucket
from recovery.settings.base import Frozen, Recipient, collected

BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Prefix = Annotated[str, StringConstraints(pattern=r"^[^/\s][^\s]*[^/\s]$|^[^/\s]$")]
Endpoint = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+/?$")]


class RetentionRules(Frozen):
    """How many copies are kept: the last ones, and the newest of each of so many periods."""

    last: int = Field(0, ge=0)
    hourly: int = Field(0, ge=0)
    daily: int = Field(0, ge=0)
    weekly: int = Field(0, ge=0)
    monthly: int = Field(0, ge=0)
    yearly: int = Field(0, ge=0)


class Retention(RetentionRules):
    """Which copies `requorum copies prune` keeps: of each manager by rules of its own, and of the cluster, whichever manager made them."""

    last: int = Field(10, ge=0)
    hourly: int = Field(24, ge=0)
    daily: int = Field(7, ge=0)
    weekly: int = Field(5, ge=0)
    monthly: int = Field(12, ge=0)
    cluster: RetentionRules = RetentionRules()
    minimum: int = Field(3, ge=1)
    """Copies that a manager keeps, whatever the rules say."""
    grace_hours: int = Field(24, ge=1)
    """Nothing younger is removed. Never 0: an archive is in S3 a moment before its manifest."""


class Encryption(Frozen):
    """Who encrypts at rest on the S3 server, and by which key: its own, one of a key service, or one that is given with each request."""

    mode: Literal["s3", "kms", "customer"]
    kms_key_id: str | None = None
    """None is the key that the server takes by default."""
    key_file: Path | None = None
    """32 bytes, raw or in base64."""

    @model_validator(mode="after")
    @collected
    def _check(self) -> Self:
        if (self.mode == "customer") != (self.key_file is not None):
            raise SettingError(
                "backup.encryption.keyFile",
                "`mode: customer` needs a key file, and no other mode uses one",
                remedy="name a file of 32 random bytes (head -c 32 /dev/urandom > FILE), or correct the mode",
                code="setting-invalid",
            )
        if self.kms_key_id and self.mode != "kms":
            raise SettingError(
                "backup.encryption.kmsKeyId",
                "only `mode: kms` uses a KMS key",
                remedy="set requorum:backup.encryption.mode to kms, or remove the key's ID",
                code="setting-invalid",
            )
        return self


class Lock(Frozen):
    """For how long S3 lets nobody delete or overwrite a copy; `governance` lets those who may bypass it."""

    mode: Literal["governance", "compliance"]
    days: int = Field(ge=1)


class Limits(Frozen):
    """How old the newest proven copy of a manager and its last drill may be, so that `requorum check` finds nothing wrong."""

    copy_hours: float = Field(26, gt=0)
    """A day and a margin: who takes a copy each day does so in time."""
    drill_days: float = Field(8, gt=0)
    """A week and a margin."""

    @property
    def copy_age(self) -> timedelta:
        """How old a copy may be."""
        return timedelta(hours=self.copy_hours)

    @property
    def drill_age(self) -> timedelta:
        """How long ago a drill may be."""
        return timedelta(days=self.drill_days)


class Second(Frozen):
    """Where every copy and unlock key is kept once more."""

    bucket: BucketName
    prefix: Prefix | None = None
    """None is that of the main site."""
    endpoint: Endpoint | None = None
    region: str = "us-east-1"
    profile: str | None = None


class Backup(Frozen):
    """Where the copies live, and who can read them. Credentials for S3 come from boto3's own chain, never from here."""

    bucket: BucketName
    prefix: Prefix = "requorum"
    endpoint: Endpoint | None = None
    region: str = "us-east-1"
    profile: str | None = None
    recipients: tuple[Recipient, ...] = ()
    """Age recipients; a copy is sealed to all of them before it leaves its node."""
    identity_file: Path | None = None
    """Age identities, one of which reads the copies here. Not needed to make them."""
    retention: Retention | None = None
    """None: nothing is ever pruned. With an agent, the rules have their defaults unless the stack file names `retention`."""
    limits: Limits = Limits()
    checksums: bool | None = None
    """Whether S3 checks what is written by SHA-256. None: on AWS, and not where an endpoint is given."""
    encryption: Encryption | None = None
    lock: Lock | None = None
    as_of: AwareDatetime | None = None
    """Copies and unlock keys are read as the bucket held them then. For when an attacker or a bug deleted or overwrote them."""
    second: Second | None = None
    megabytes_per_second: float | None = Field(None, ge=0.1)
    """The most that copies take of the line, in each process; 10**6 bytes."""

    @property
    def sites(self) -> tuple[Bucket, ...]:
        """The bucket of the main site, and of the second."""
        return tuple(self._bucket(place) for place in (self, self.second) if place)

    def _bucket(self, place: "Backup | Second") -> Bucket:
        rest, lock = self.encryption, self.lock
        return Bucket(
            name=place.bucket,
            prefix=place.prefix or self.prefix,
            endpoint=place.endpoint,
            region=place.region,
            profile=place.profile,
            checked=place.endpoint is None if self.checksums is None else self.checksums,
            encryption=rest.mode if rest else None,
            kms_key_id=rest.kms_key_id if rest else None,
            key_file=rest.key_file if rest else None,
            lock=lock.mode if lock else None,
            lock_days=lock.days if lock else 0,
            as_of=self.as_of,
            megabytes_per_second=self.megabytes_per_second,
        )

    @model_validator(mode="after")
    @collected
    def _check(self) -> Self:
        for key, site in zip(SITES, self.sites, strict=False):
            plain = (site.endpoint or "").startswith("http:")
            if plain and self.encryption and self.encryption.mode == "customer":
                raise SettingError(
                    f"{key}.endpoint",
                    "with `mode: customer` each request carries the key, and http requests are not encrypted",
                    remedy="give an https endpoint, or another requorum:backup.encryption.mode",
                    code="setting-invalid",
                )
        places = {((site.endpoint or "").rstrip("/"), site.name, site.prefix) for site in self.sites}
        if len(places) < len(self.sites):
            raise SettingError(
                "backup.second",
                "the second site is the same bucket and prefix as the main site",
                remedy="name another bucket, best at another provider",
                code="setting-invalid",
            )
        return self


class Escrow(Frozen):
    """Who can read the unlock keys that are kept in S3: age recipients; and the identity to read them with here."""

    recipients: tuple[Recipient, ...] = ()
    identity_file: Path | None = None
