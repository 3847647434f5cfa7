"""The policy of `requorum policy --for prune` on a real server: who has it removes what the rules remove, and nothing else."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.data.catalog import DataCatalog
from recovery.operations.broken_uploads import abort, list_broken
from recovery.operations.prune import DATA, MANAGERS
from recovery.s3 import policy
from recovery.s3.client import client, session
from recovery.s3.policy import Use
from recovery.settings import Settings
from tests.s3.conftest import add_user
from tests.s3.servers import Server, Versitygw
from tests.s3.test_sites import put
from tests.unit import factories as make
from tests.unit.data import stored as data

PRUNER, SECRET = "pruner", "not-a-real-secret-either"
LATER = datetime.now(UTC) + timedelta(days=1)
BUCKETS: dict[str, dict[str, Any]] = {
    "plain": {},
    "versioned": {},
    "locked": {"lock": {"mode": "governance", "days": 1}},
}
Of = Callable[..., Settings]

pytestmark = [
    pytest.mark.parametrize("server", [Versitygw], indirect=True),
    pytest.mark.parametrize("bucket", BUCKETS),
]


@pytest.fixture
def settings(of: Of, server: Server, bucket: str) -> Settings:
    rules = {"last": 1, "hourly": 0, "daily": 0, "weekly": 0, "monthly": 0, "minimum": 1, "graceHours": 1}
    own = {**make.RAW["backup"], "bucket": bucket, "endpoint": server.endpoint, "retention": rules, **BUCKETS[bucket]}
    return make.settings(data=data.DATA, backup=own)


@pytest.fixture
def laid(settings: Settings, server: Server, bucket: str, sealed: Path, tmp_path: Path) -> list[Copy]:
    """Copies of a manager, newest first, copies of data, and the parts of an upload that broke off."""
    copies = [put(settings, sealed, days) for days in (2, 3, 4)]
    for days in (2, 3):
        data.put(settings, tmp_path, timedelta(days=days))
    for key in ("journal/x.json", "reports/x.json", "unlock-keys/x.age", "lost/manager-a.json"):
        server.s3.put_object(Bucket=bucket, Key=settings.keys.root + key, Body=b"x")
    server.s3.put_object(Bucket=bucket, Key=copies[-1].drill_key, Body=b"x")
    server.s3.create_multipart_upload(Bucket=bucket, Key=copies[0].key)
    return copies


@pytest.fixture
def pruner(laid: list[Copy], settings: Settings, server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client with the credentials of the policy, which are those of Requorum from here on. versitygw knows no conditions."""
    add_user(server, PRUNER, SECRET)
    managers = [node.name for node in settings.managers]
    given = policy.of(Use.PRUNE, settings.backup.sites[0], settings.cluster, managers)
    statements = [
        {**{name: part for name, part in one.items() if name != "Condition"}, "Principal": {"AWS": [PRUNER]}}
        for one in given["Statement"]
    ]
    server.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({**given, "Statement": statements}))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", PRUNER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    client.cache_clear()
    session.cache_clear()
    own = boto3.Session(PRUNER, SECRET, region_name="us-east-1")
    return own.client("s3", endpoint_url=server.endpoint, config=Config(s3={"addressing_style": "path"}))


def test_it_prunes_copies_data_and_parts(
    laid: list[Copy], settings: Settings, server: Server, bucket: str, pruner: Any
) -> None:
    cluster = Cluster(settings)
    for kind in (MANAGERS, DATA):
        done = kind.prune(cluster, kind.look(cluster, LATER), LATER, say=pytest.fail)  # type: ignore[attr-defined]
        assert [one.error for one in done] == [None] * (2 if kind is MANAGERS else 1)
        assert {one.versions_stay for one in done} == {bucket != "plain"}
    assert Catalog(settings).copies == (laid[0],)
    assert len(DataCatalog(Cluster(settings)).copies) == 1
    assert laid[-1].drill_key not in server.keys(bucket)
    broken = list_broken(Cluster(settings), LATER, say=pytest.fail)
    assert [one.error for one in abort(broken)] == [None]
    assert "Uploads" not in server.s3.list_multipart_uploads(Bucket=bucket)
    listed = server.s3.list_object_versions(Bucket=bucket).get("Versions", []) if bucket != "plain" else []
    kept = {one["Key"] for one in listed}
    assert {copy.key for copy in laid} <= kept or bucket == "plain", "a deletion hides, and the versions stay"


def test_it_does_nothing_else(laid: list[Copy], settings: Settings, server: Server, bucket: str, pruner: Any) -> None:
    root, copy = settings.keys.root, laid[0]
    forbidden: dict[str, Callable[[], Any]] = {
        "store a copy": lambda: pruner.put_object(Bucket=bucket, Key=copy.key, Body=b"x"),
        "mark a copy": lambda: pruner.put_object(Bucket=bucket, Key=copy.keep_key, Body=b"x"),
        "store data": lambda: pruner.put_object(Bucket=bucket, Key=f"{settings.keys.data}rows/x.age", Body=b"x"),
        "declare a loss": lambda: pruner.put_object(Bucket=bucket, Key=f"{root}lost/manager-b.json", Body=b"x"),
        "write consent": lambda: pruner.put_object(Bucket=bucket, Key=settings.keys.consent, Body=b"x"),
        "write elsewhere": lambda: pruner.put_object(Bucket=bucket, Key="other/x", Body=b"x"),
        "change the policy": lambda: pruner.delete_bucket_policy(Bucket=bucket),
        **{
            f"delete {key}": lambda key=key: pruner.delete_object(Bucket=bucket, Key=root + key)
            for key in ("journal/x.json", "reports/x.json", "unlock-keys/x.age", "lost/manager-a.json")
        },
        "remove a mark": lambda: pruner.delete_object(Bucket=bucket, Key=copy.keep_key),
    }
    if bucket != "plain":
        version = server.s3.head_object(Bucket=bucket, Key=copy.key)["VersionId"]
        forbidden["delete a version"] = lambda: pruner.delete_object(Bucket=bucket, Key=copy.key, VersionId=version)
        forbidden["suspend versioning"] = lambda: pruner.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
        )
    for what, act in forbidden.items():
        with pytest.raises(ClientError) as caught:
            act()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, what
