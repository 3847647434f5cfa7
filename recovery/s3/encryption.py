"""Encryption at rest on the S3 server, as parameters of boto3."""

import base64
import binascii
from pathlib import Path
from typing import Any, Protocol

from recovery.errors import SettingError
from recovery.s3.bucket import Bucket

KEY_BYTES = 32
ALGORITHM = "AES256"
SETTING = "backup.encryption.keyFile"
ECHO = "x-amz-date"
"""A header of every signed request, and of no answer. A server that returns it, as `rclone serve s3` does, returns all
headers of the request. Then its answer about encryption means nothing."""


class _Answer(Protocol):
    def get(self, key: Any, /) -> Any: ...


class ServerSideEncryption:
    """Encryption at rest: the parameters of writes and reads, and a check of what the server did.

    Raises: SettingError if the customer's key cannot be used.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.writing: dict[str, Any] = {}
        self.reading: dict[str, Any] = {}
        if bucket.encryption is None:
            return
        if bucket.key_file:
            self.writing = {"SSECustomerAlgorithm": ALGORITHM, "SSECustomerKey": _key(bucket.key_file)}
            self.reading = self.writing
        elif bucket.encryption == "kms":
            key = {"SSEKMSKeyId": bucket.kms_key_id} if bucket.kms_key_id else {}
            self.writing = {"ServerSideEncryption": "aws:kms", **key}
        else:
            self.writing = {"ServerSideEncryption": ALGORITHM}

    def is_kept(self, answer: _Answer) -> bool:
        """Whether an object is encrypted as requested, according to the answer to its HEAD."""
        if not self.writing:
            return True
        asked = (name for name in ("ServerSideEncryption", "SSECustomerAlgorithm") if name in self.writing)
        handed_back = ECHO in answer.get("ResponseMetadata").get("HTTPHeaders")
        return not handed_back and all(answer.get(name) == self.writing[name] for name in asked)


def _key(file: Path) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingError(
            SETTING, f"{file}: {error.strerror}", remedy="name a readable file", code="unreadable-file"
        ) from None
    if len(content) != KEY_BYTES:
        try:
            content = base64.b64decode(content.strip(), validate=True)
        except binascii.Error:
            content = b""
    if len(content) != KEY_BYTES:
        raise SettingError(
            SETTING,
            f"{file} does not hold {KEY_BYTES} bytes, raw or in base64",
            remedy="name the file that holds the key",
            code="setting-invalid",
        )
    return content
