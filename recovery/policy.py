"""What the nodes' own credentials need to be allowed in S3, and nothing beyond: they write, and read only what agents tell each other."""

from typing import Any

from recovery.bucket import Bucket

VERSION = "2012-10-17"
"""Of the policy language (AWS, IAM JSON policy elements)."""


def of_nodes(bucket: Bucket, cluster: str) -> dict[str, Any]:
    """The policy for one site, to be attached to the nodes' user or role.

    No right to read, list or delete copies is in it. Whoever may write may overwrite: a bucket with versioning keeps what
    was there (requorum:backup.asOf), and with Object Lock for sure.
    """
    arn = f"arn:aws:s3:::{bucket.name}/{bucket.prefix}/{cluster}"
    writes = ["s3:PutObject", "s3:AbortMultipartUpload"] + (["s3:PutObjectRetention"] if bucket.lock else [])
    return {
        "Version": VERSION,
        "Statement": [
            {"Sid": "Copies", "Effect": "Allow", "Action": writes, "Resource": f"{arn}/*"},
            {"Sid": "Turns", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": f"{arn}/agent/*"},
        ],
    }
