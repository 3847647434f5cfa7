"""What the nodes' own credentials need to be allowed in S3, and nothing beyond: they write, and read only what agents tell each other."""

from collections.abc import Iterable
from typing import Any

from recovery.s3.bucket import Bucket
from recovery.s3.keys import ARCHIVE, MANIFEST, UNLOCK_KEY, Keys

VERSION = "2012-10-17"
"""Of the policy language (AWS, IAM JSON policy elements)."""


def of_nodes(bucket: Bucket, cluster: str, managers: Iterable[str]) -> dict[str, Any]:
    """The policy for one site, to be attached to the nodes' user or role.

    No right to read, list or delete copies is in it, nor to write what operators write: leases, words that a node is lost,
    results of drills, marks. Managers are named, because ``*`` in a resource stands for slashes too. Whoever may write may
    overwrite: a bucket with versioning keeps what was there (requorum:backup.asOf), and with Object Lock for sure.
    """
    keys, arn = Keys(bucket.prefix, cluster), f"arn:aws:s3:::{bucket.name}/"
    kept = [f"{arn}{keys.copies_of(name)}swarm-*{kind}" for name in managers for kind in (ARCHIVE, MANIFEST)]
    locking = ["s3:PutObjectRetention"] if bucket.lock else []
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Sid": "Copies",
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:AbortMultipartUpload", *locking],
                "Resource": [*kept, f"{arn}{keys.unlock_keys}*{UNLOCK_KEY}"],
            },
            {
                "Sid": "Turns",
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject"],
                "Resource": [f"{arn}{keys.agent}*"],
            },
            *([_encryption(bucket, bucket.kms_key_id)] if bucket.kms_key_id else []),
        ],
    }


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
