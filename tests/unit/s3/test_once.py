"""What a write that replaces nothing makes of the server's answer."""

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from recovery.s3 import once


def refusing(code: str, *, upload: bool) -> Exception:
    error = ClientError({"Error": {"Code": code}}, "PutObject")
    if not upload:
        return error
    wrapped = S3UploadFailedError("it failed")
    wrapped.__context__ = error
    return wrapped


@pytest.mark.parametrize("upload", [False, True], ids=["small", "upload"])
@pytest.mark.parametrize(
    ("code", "asked", "raised"),
    [
        ("", [True], False),
        ("PreconditionFailed", [True], False),
        ("412", [True], False),
        ("NotImplemented", [True, False], False),
        ("AccessDenied", [True], True),
        ("ConditionalRequestConflict", [True], True),
    ],
)
def test_an_object_that_is_there_is_left_and_a_server_without_conditions_is_asked_again(
    code: str, asked: list[bool], raised: bool, upload: bool
) -> None:
    found: list[bool] = []

    def act(only_new: bool) -> None:
        found.append(only_new)
        if code and only_new:
            raise refusing(code, upload=upload)

    if raised:
        with pytest.raises((ClientError, S3UploadFailedError)):
            once.write(True, act)
    else:
        once.write(True, act)
    assert found == asked


def test_an_operator_s_write_has_no_condition() -> None:
    found: list[bool] = []
    once.write(False, found.append)
    assert found == [False]
