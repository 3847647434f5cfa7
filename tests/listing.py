"""What lies in a bucket, on however many pages."""

from typing import Any


def keys(s3: Any, bucket: str, prefix: str = "") -> list[str]:
    """Every key below the prefix, by boto3's client ``s3``."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]
