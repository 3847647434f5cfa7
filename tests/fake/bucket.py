"""A bucket in memory, with the part of boto3's client that `recovery.s3.site.Site` uses."""

# ruff: noqa: N803 - the names are boto3's

import hashlib
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, EndpointConnectionError

if TYPE_CHECKING:
    from tests.fake.wires import Wires


NOTES = ("/journal/", "/reports/", "/lease.json", "/consent.json")
"""Keys of notes. If such a write fails, nothing stops. So it does not count as an effect."""


class FakeS3:
    """Replaces boto3's S3 client."""

    def __init__(self, wires: "Wires") -> None:
        self._wires = wires

    def get_paginator(self, _: str) -> "FakeS3":
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:
        now = datetime.now(UTC)
        objects = self._objects().items()
        contents = [{"Key": k, "Size": len(v), "LastModified": now} for k, v in objects if k.startswith(Prefix)]
        yield {"Name": Bucket, "Contents": contents}

    def get_bucket_versioning(self, *, Bucket: str) -> dict[str, str]:
        return {"Status": "Enabled"}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self._objects():
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        content = self._objects()[Key]
        return {"Body": io.BytesIO(content), "ETag": _etag(content)}

    def put_object(
        self,
        *,
        Bucket: str,
        Key: str,
        Body: bytes,
        IfNoneMatch: str = "",
        IfMatch: str = "",
        ChecksumAlgorithm: str = "",
    ) -> dict[str, str]:
        current = self._objects().get(Key)
        if (IfNoneMatch and current is not None) or (IfMatch and (current is None or _etag(current) != IfMatch)):
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": Key}}, "PutObject")
        with self._effect("write", Key):
            self._objects()[Key] = Body
        return {"ETag": _etag(Body)}

    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, bool]:
        with self._effect("remove", Key):
            self._objects().pop(Key, None)
        return {}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return {"ContentLength": len(self._objects()[Key])}

    def download_file(self, bucket: str, key: str, path: str, *, ExtraArgs: dict[str, Any], Config: object) -> None:
        Path(path).write_bytes(self._objects()[key])

    def upload_file(self, path: str, bucket: str, key: str, *, ExtraArgs: dict[str, Any], Config: object) -> None:
        self.put_object(Bucket=bucket, Key=key, Body=Path(path).read_bytes(), **ExtraArgs)

    def _effect(self, verb: str, key: str) -> AbstractContextManager[None]:
        if any(part in key for part in NOTES):
            return nullcontext()
        return self._wires.effect(f"S3: {verb} {key.rsplit('/', 1)[-1]}", _unreachable)

    def _objects(self) -> dict[str, bytes]:
        self._wires.require_alive()
        return self._wires.objects


def _etag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _unreachable(why: str) -> Exception:
    return EndpointConnectionError(endpoint_url=why)
