"""What credentials need to be allowed in S3 for one use, and nothing beyond: those of the nodes' agents, and the operator's."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from recovery.s3.bucket import Bucket
from recovery.s3.keys import ARCHIVE, DRILL, MANIFEST, UNLOCK_KEY, Keys

VERSION = "2012-10-17"
"""Of the policy language (AWS, IAM JSON policy elements)."""
Statement = dict[str, Any]


class Use(StrEnum):
    """What credentials are for."""

    AGENT = "agent"
    PREVIEW = "preview"
    UP = "up"
    RECOVER = "recover"
    ASK = "ask"
    CONSENT = "consent"
    DRILL = "drill"
    PRUNE = "prune"


def of(use: Use, bucket: Bucket, cluster: str, managers: Sequence[str]) -> dict[str, Any]:
    """The policy of one use for one site."""
    return of_nodes(bucket, cluster, managers) if use is Use.AGENT else _of_operator(use, bucket, cluster, managers)


def of_nodes(bucket: Bucket, cluster: str, managers: Iterable[str]) -> dict[str, Any]:
    """The policy for the agents of these managers, to be attached to their user or role.

    No right to read, list or delete copies is in it, nor to write what operators write: leases, words that a node is lost,
    results of drills, marks. Managers are named, because ``*`` in a resource stands for slashes too. On AWS, who writes may
    not overwrite. Elsewhere, a bucket with versioning keeps what was there (requorum:backup.asOf), and with Object Lock for
    sure.
    """
    keys, arn = Keys(bucket.prefix, cluster), _arn(bucket)
    kept = [*_copies(bucket, keys, managers, ARCHIVE, MANIFEST), f"{arn}{keys.unlock_keys}*{UNLOCK_KEY}"]
    locking = ["s3:PutObjectRetention"] if bucket.lock else []
    actions = ["s3:PutObject", "s3:AbortMultipartUpload", *locking]
    return _policy(
        bucket,
        *_written_once(actions, kept, on_aws=bucket.endpoint is None),
        _allow("Turns", ["s3:GetObject", "s3:PutObject"], [f"{arn}{keys.agent}*"]),
    )


def _written_once(actions: list[str], kept: list[str], *, on_aws: bool) -> tuple[Statement, ...]:
    """The right to write new objects only, where the condition is known to be understood.

    The parts of an upload carry no condition, and its end does (AWS, "Enforce conditional writes on Amazon S3 buckets").
    """
    if not on_aws:
        return (_allow("Copies", actions, kept),)
    new = {"Null": {"s3:if-none-match": "false"}}
    parts = {"Bool": {"s3:ObjectCreationOperation": "false"}}
    others = [action for action in actions if action != "s3:PutObject"]
    return (
        _allow("Copies", ["s3:PutObject"], kept, Condition=new),
        _allow("Parts", ["s3:PutObject"], kept, Condition=parts),
        _allow("Uploads", others, kept),
    )


def _of_operator(use: Use, bucket: Bucket, cluster: str, managers: Iterable[str]) -> dict[str, Any]:
    """Every use reads and lists what is the cluster's. They differ in what they write and delete."""
    keys, arn = Keys(bucket.prefix, cluster), _arn(bucket)
    changing = {
        Use.PREVIEW: _of_preview,
        Use.UP: _of_change,
        Use.RECOVER: _of_change,
        Use.ASK: _of_ask,
        Use.CONSENT: _of_consent,
        Use.DRILL: _of_drill,
        Use.PRUNE: _of_prune,
    }
    return _policy(bucket, *_reading(bucket, keys, arn), *changing[use](bucket, keys, arn, managers))


def _reading(bucket: Bucket, keys: Keys, arn: str) -> Iterable[Statement]:
    """The right to list and read everything of the cluster, as it was before too."""
    then, lock = bucket.as_of is not None, bucket.lock is not None
    versions = ["s3:ListBucketVersions"] if then else []
    objects = ["s3:GetObject", *(["s3:GetObjectVersion"] if then else []), *(["s3:GetObjectRetention"] if lock else [])]
    within = {"StringLike": {"s3:prefix": f"{keys.root}*"}}
    yield _allow("List", ["s3:ListBucket", *versions], [f"arn:aws:s3:::{bucket.name}"], Condition=within)
    yield _allow("Read", objects, [f"{arn}{keys.root}*"])
    settings = [
        *(["s3:GetBucketVersioning"] if then else []),
        *(["s3:GetBucketObjectLockConfiguration"] if lock else []),
    ]
    if settings:
        yield _allow("Settings", settings, [f"arn:aws:s3:::{bucket.name}"])


def _of_preview(_bucket: Bucket, keys: Keys, arn: str, _managers: Iterable[str]) -> Iterable[Statement]:
    """A preview notes that the flag was used up, and tries a server before the swarm is created."""
    yield _allow("Notes", ["s3:PutObject"], [f"{arn}{keys.consent}"])
    yield _probing(keys, arn)


def _of_change(bucket: Bucket, keys: Keys, arn: str, managers: Iterable[str]) -> Iterable[Statement]:
    """An update and a recovery take copies, keep a journal and reports, and hold both leases."""
    ended = [f"{arn}{key}" for key in (f"{keys.journal}*", keys.notified("*"))]
    leases = (keys.lease, keys.agents_lease, keys.watch_lease)
    written = [f"{arn}{key}" for key in (*leases, keys.consent, f"{keys.consents}*", f"{keys.reports}*")]
    kept = [*_copies(bucket, keys, managers, ARCHIVE, MANIFEST), f"{arn}{keys.unlock_keys}*{UNLOCK_KEY}"]
    locking = ["s3:PutObjectRetention"] if bucket.lock else []
    yield _allow("Notes", ["s3:PutObject"], [*written, *ended])
    yield _allow("EndedNotes", ["s3:DeleteObject"], ended)
    yield _allow("Copies", ["s3:PutObject", "s3:AbortMultipartUpload", *locking], kept)
    yield _probing(keys, arn)


def _of_ask(_bucket: Bucket, keys: Keys, arn: str, _managers: Iterable[str]) -> Iterable[Statement]:
    """A watch that only asks for consent makes the plan while no other watcher tells."""
    yield _allow("Lease", ["s3:PutObject"], [f"{arn}{keys.watch_lease}"])


def _of_consent(_bucket: Bucket, keys: Keys, arn: str, _managers: Iterable[str]) -> Iterable[Statement]:
    """An operator consents to a plan, or withdraws a consent."""
    yield _allow("Consents", ["s3:PutObject"], [f"{arn}{keys.consents}*"])


def _of_drill(bucket: Bucket, keys: Keys, arn: str, managers: Iterable[str]) -> Iterable[Statement]:
    """A drill stores its results, and what was notified of it."""
    results = [*_copies(bucket, keys, managers, DRILL), f"{arn}{keys.drills}*"]
    noted = [f"{arn}{keys.notified('*')}"]
    yield _allow("Results", ["s3:PutObject"], [*results, *noted])
    yield _allow("EndedNotes", ["s3:DeleteObject"], noted)


def _of_prune(bucket: Bucket, keys: Keys, arn: str, managers: Iterable[str]) -> Iterable[Statement]:
    """A prune deletes copies of managers and of data, and the parts of uploads that were interrupted. It removes no mark."""
    copies = _copies(bucket, keys, managers, ARCHIVE, MANIFEST, DRILL)
    yield _allow("Lease", ["s3:PutObject"], [f"{arn}{keys.lease}"])
    yield _allow("Copies", ["s3:DeleteObject"], [*copies, f"{arn}{keys.data}*"])
    yield _allow("Uploads", ["s3:AbortMultipartUpload"], [f"{arn}{keys.root}*"])
    yield _allow("ListUploads", ["s3:ListBucketMultipartUploads"], [f"arn:aws:s3:::{bucket.name}"])


def _probing(keys: Keys, arn: str) -> Statement:
    """The right to try what a server offers. Where versions or locks are tried, the probe removes its versions too."""
    actions = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion"]
    return _allow("Probe", actions, [f"{arn}{keys.probe}*"])


def _copies(bucket: Bucket, keys: Keys, managers: Iterable[str], *kinds: str) -> list[str]:
    return [f"{_arn(bucket)}{keys.copies_of(name)}swarm-*{kind}" for name in managers for kind in kinds]


def _arn(bucket: Bucket) -> str:
    return f"arn:aws:s3:::{bucket.name}/"


def _allow(what: str, actions: list[str], resources: list[str], **more: Any) -> Statement:
    return {"Sid": what, "Effect": "Allow", "Action": actions, "Resource": resources, **more}


def _policy(bucket: Bucket, *statements: Statement) -> dict[str, Any]:
    last = [_encryption(bucket, bucket.kms_key_id)] if bucket.kms_key_id else []
    return {"Version": VERSION, "Statement": [*statements, *last]}


def _encryption(bucket: Bucket, key: str) -> dict[str, Any]:
    """The use of a key of one's own at the key service, named by ID, alias or ARN.

    An object in parts is decrypted as they are put together (AWS, "Uploading an object with multipart upload and AWS KMS").
    The alias of a key is no resource of its own: it is a condition (AWS KMS, kms:ResourceAliases).
    """
    head, _, name = key.rpartition(":")
    head = head or f"arn:aws:kms:{bucket.region}:*"
    alias = name.startswith("alias/")
    return {
        "Sid": "Encryption",
        "Effect": "Allow",
        "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
        "Resource": [f"{head}:key/*" if alias else f"{head}:key/{name.removeprefix('key/')}"],
        **({"Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": name}}} if alias else {}),
    }
