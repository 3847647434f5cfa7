"""What is written to S3 is encrypted there, also with the customer's key."""

import base64
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from recovery.copies.catalog import Catalog
from recovery.errors import SettingError, StoreError
from recovery.s3.client import BULK, PATIENT, QUICK, client
from recovery.s3.encryption import ServerSideEncryption
from recovery.s3.site import Site
from tests.unit.s3.written import CUSTOMER, of, write_everything


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "customer-key"
    path.write_bytes(CUSTOMER)
    return path


ENCRYPTIONS: dict[str, tuple[dict[str, str], str]] = {
    "s3": ({"mode": "s3"}, "AES256"),
    "kms": ({"mode": "kms"}, "aws:kms"),
    "kms with a key": ({"mode": "kms", "kmsKeyId": "alias/copies"}, "aws:kms"),
}


@pytest.mark.parametrize(("encryption", "algorithm"), ENCRYPTIONS.values(), ids=ENCRYPTIONS)
def test_everything_that_is_written_is_encrypted(
    s3: Any, bucket: Any, sealed: Path, encryption: dict[str, str], algorithm: str
) -> None:
    write_everything(of(encryption=encryption), sealed)
    found = [s3.head_object(Bucket="copies", Key=entry.key) for entry in bucket.objects.all()]
    assert len(found) == 6
    assert {head["ServerSideEncryption"] for head in found} == {algorithm}
    if "kmsKeyId" in encryption:
        assert {head["SSEKMSKeyId"] for head in found} == {encryption["kmsKeyId"]}


@pytest.mark.parametrize("content", [CUSTOMER, base64.b64encode(CUSTOMER) + b"\n"], ids=["raw", "base64"])
def test_the_customers_key_goes_with_every_write_and_read(
    bucket: Any, sealed: Path, key_file: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_file.write_bytes(content)
    settings = of(encryption={"mode": "customer", "keyFile": str(key_file)})
    sent = []
    real = ServerSideEncryption.is_kept
    # moto stores such objects and does not say how.
    monkeypatch.setattr(
        ServerSideEncryption, "is_kept", lambda rest, head: real(rest, {**head, "SSECustomerAlgorithm": "AES256"})
    )
    for pace in (PATIENT, BULK, QUICK):
        events = client(settings.backup.sites[0], pace).meta.events
        events.register("before-send.s3", lambda request, **_: sent.append(request))
    write_everything(settings, sealed)
    catalog = Catalog(settings)
    catalog.store.download(catalog.copies[0].key, sealed.with_name("read"))
    assert sealed.with_name("read").read_bytes() == sealed.read_bytes()
    assert catalog.manifest(catalog.copies[0]).manager == "manager-a"
    objects = [request for request in sent if "/requorum/lab/" in request.url and request.method != "DELETE"]
    assert {request.method for request in objects} == {"PUT", "GET", "HEAD"}
    for request in objects:
        assert request.headers["x-amz-server-side-encryption-customer-key"] == base64.b64encode(CUSTOMER)
        assert request.url.startswith("https:")


def test_what_was_written_before_the_customers_key_is_still_read(key_file: Path) -> None:
    settings = of(encryption={"mode": "customer", "keyFile": str(key_file)})
    plain = {"key": b"old"}

    def get(*, Key: str, **given: str) -> bytes:  # noqa: N803 - boto3's name
        if given:
            status = {"HTTPStatusCode": 400}
            raise ClientError({"Error": {"Code": "InvalidRequest"}, "ResponseMetadata": status}, "GetObject")  # type: ignore[typeddict-item]
        return plain[Key]

    assert Site(settings.backup.sites[0])._read(get, Key="key") == b"old"


BAD_KEYS = {"short": b"short", "not base64": b"*" * 40, "short in base64": base64.b64encode(b"short"), "missing": None}


@pytest.mark.parametrize("content", BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_bad_customers_key_is_refused_without_being_shown(bucket: Any, key_file: Path, content: bytes | None) -> None:
    key_file.unlink() if content is None else key_file.write_bytes(content)
    with pytest.raises(SettingError) as caught:
        Catalog(of(encryption={"mode": "customer", "keyFile": str(key_file)}))
    assert caught.value.key == "backup.encryption.keyFile"
    assert content is None or content.decode() not in str(caught.value)


def test_the_customers_key_is_in_no_error_and_no_repr(bucket: Any, key_file: Path) -> None:
    settings = of(bucket="nowhere", encryption={"mode": "customer", "keyFile": str(key_file)})
    with pytest.raises(StoreError) as caught:
        Catalog(settings)
    told = (
        f"{caught.value!r} {caught.value} {caught.value.__context__!r} {settings!r} {Site(settings.backup.sites[0])!r}"
    )
    assert repr(CUSTOMER)[2:-1] not in told
    assert base64.b64encode(CUSTOMER).decode() not in told
