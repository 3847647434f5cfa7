"""Buckets beside the plain one, and what is stored there."""

from pathlib import Path
from typing import Any

import boto3
import pytest


@pytest.fixture
def s3(bucket: Any) -> Any:
    beside = boto3.client("s3", region_name="us-east-1")
    beside.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    beside.create_bucket(Bucket="versioned")
    beside.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    return beside


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "sealed"
    path.write_bytes(b"sealed" * 100)
    return path
