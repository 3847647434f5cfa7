"""Writes that replace no object: an agent's, whose credentials may be good for that alone (`recovery.s3.policy`)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from recovery.s3.server_errors import code_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ONLY_NEW = {"IfNoneMatch": "*"}
"""The condition of such a request."""
THERE = frozenset({"PreconditionFailed", "412"})
"""The answers if an object of that name is there."""
LAST_OF_UPLOAD = ("PutObject", "CompleteMultipartUpload")
"""The requests that make an object. boto3's uploads take no condition for them (s3transfer, ALLOWED_UPLOAD_ARGS)."""


def write(only_new: bool, act: Callable[[bool], object]) -> None:
    """Call ``act`` with whether the server is to refuse to replace an object. One that is there is left alone.

    It is of an earlier attempt of the same copy, whose answer was lost. A server without conditional writes replaces it.
    """
    if only_new:
        try:
            act(True)
        except (ClientError, S3UploadFailedError) as error:
            cause = error if isinstance(error, ClientError) else error.__context__
            code = code_of(cause) if isinstance(cause, ClientError) else ""
            if code in THERE:
                return
            if code != "NotImplemented":
                raise
        else:
            return
    act(False)


def require_new(client: "S3Client") -> None:
    """Let each upload of this client fail if an object of its name is there."""
    for request in LAST_OF_UPLOAD:
        client.meta.events.register(f"before-parameter-build.s3.{request}", _conditional)


def _conditional(params: dict[str, Any], **_: Any) -> None:
    params.update(ONLY_NEW)
