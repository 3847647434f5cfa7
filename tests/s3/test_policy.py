"""The policy of `requorum policy` on a real server: a node's credentials do all that an agent does, and nothing else."""

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from recovery.copies import storing
from recovery.errors import StoreSilent
from recovery.s3 import lease, policy, site
from recovery.s3.bucket import Bucket
from recovery.s3.line import PART
from recovery.s3.store import Store
from tests.s3.conftest import CALM, add_user
from tests.s3.proxy import Proxy
from tests.s3.servers import Server, Versitygw
from tests.unit import factories as make

NODE, SECRET = "node", "not-a-real-secret-either"
MANIFEST = make.manifest()

pytestmark = pytest.mark.parametrize("server", [Versitygw], indirect=True)


@pytest.fixture
def bucket(server: Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The bucket as a node has it, whose credentials are the node's from here on."""
    add_user(server, NODE, SECRET)
    found = replace(make.settings().backup.sites[0], name="plain", endpoint=server.endpoint, checked=False)
    given = policy.of_nodes(found, "lab", ["manager-a", "manager-b"])
    statements = [{**one, "Principal": {"AWS": [NODE]}} for one in given["Statement"]]
    server.s3.put_bucket_policy(Bucket="plain", Policy=json.dumps({**given, "Statement": statements}))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", NODE)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return replace(found, write_only=True)


@pytest.fixture
def node(bucket: Bucket) -> Any:
    """A client with the node's credentials."""
    session = boto3.Session(NODE, SECRET, region_name="us-east-1")
    return session.client("s3", endpoint_url=bucket.endpoint, config=Config(s3={"addressing_style": "path"}))


def test_a_node_stores_copies_and_takes_turns(bucket: Bucket, server: Server, tmp_path: Path) -> None:
    store, prefix = Store([bucket]), f"{bucket.prefix}/lab/"
    sealed = tmp_path / "sealed"
    sealed.write_bytes(os.urandom(9 << 20))
    assert store.look(prefix + "agent/mark.json") is None
    with lease.Leases().hold(store, prefix + "agent/lease.json", "copying", by="a test", say=print):
        made = storing.store(store, prefix, MANIFEST, sealed)
    store.everywhere(lambda site: site.keep(prefix + "unlock-keys/fingerprint.age", b"sealed"))
    store.put(prefix + "agent/mark.json", b"{}")
    assert store.look(prefix + "agent/mark.json") == b"{}"
    assert {made.key, made.manifest_key} <= set(server.keys("plain"))
    assert server.s3.get_object(Bucket="plain", Key=made.key)["Body"].read() == sealed.read_bytes()


def test_an_agent_replaces_nothing_and_takes_what_is_there_for_an_earlier_attempt(
    bucket: Bucket, server: Server, tmp_path: Path
) -> None:
    store, prefix = Store([bucket]), f"{bucket.prefix}/lab/"
    sealed = tmp_path / "sealed"
    contents = {}
    for size in (100, PART + 1):
        sealed.write_bytes(os.urandom(size))
        manifest = make.manifest(taken=MANIFEST.taken + timedelta(seconds=size))
        for _ in range(2):
            made = storing.store(store, prefix, manifest, sealed)
            contents.setdefault(made.key, sealed.read_bytes())
            sealed.write_bytes(os.urandom(size))
    store.everywhere(lambda site: site.keep(prefix + "unlock-keys/fingerprint.age", b"first"))
    store.everywhere(lambda site: site.keep(prefix + "unlock-keys/fingerprint.age", b"second"))
    contents[prefix + "unlock-keys/fingerprint.age"] = b"first"
    for key, content in contents.items():
        assert server.s3.get_object(Bucket="plain", Key=key)["Body"].read() == content, key


def test_a_node_cannot_write_what_operators_write(bucket: Bucket, server: Server, node: Any) -> None:
    made, prefix = make.copy_of(MANIFEST), f"{bucket.prefix}/lab/"
    names = ("lost/manager-a.json", "lease.json", "consent.json", "journal/x.json", "data/x/x.manifest.json")
    for key in (made.drill_key, made.keep_key, *(prefix + name for name in names)):
        with pytest.raises(ClientError) as caught:
            node.put_object(Bucket="plain", Key=key, Body=b"y")
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, key
    assert not server.keys("plain")


def test_an_upload_of_a_node_that_breaks_off_is_aborted(
    bucket: Bucket, server: Server, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "BULK", CALM)
    sealed = tmp_path / "sealed"
    sealed.write_bytes(os.urandom(PART + 1))
    proxy.faults.append(lambda handler, size: "partNumber=1" in handler.path and handler.cut(size))
    with pytest.raises(StoreSilent, match="code: s3-silent"):
        storing.store(Store([replace(bucket, endpoint=proxy.endpoint)]), f"{bucket.prefix}/lab/", MANIFEST, sealed)
    assert server.keys("plain") == []
    assert "Uploads" not in server.s3.list_multipart_uploads(Bucket="plain")


def test_the_policy_of_one_manager_writes_no_copy_of_another(bucket: Bucket, server: Server, node: Any) -> None:
    given = policy.of_nodes(bucket, "lab", ["manager-a"])
    statements = [{**one, "Principal": {"AWS": [NODE]}} for one in given["Statement"]]
    server.s3.put_bucket_policy(Bucket="plain", Policy=json.dumps({**given, "Statement": statements}))
    own = make.copy_of(MANIFEST)
    assert own.manager == "manager-a"
    node.put_object(Bucket="plain", Key=own.key, Body=b"x")
    with pytest.raises(ClientError) as caught:
        node.put_object(Bucket="plain", Key=own.key.replace("manager-a", "manager-b"), Body=b"x")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_node_can_neither_read_nor_list_nor_delete(bucket: Bucket, server: Server, node: Any) -> None:
    key = f"{bucket.prefix}/lab/manager-b/copy.tar.zst.age"
    elsewhere = "somebody/else.txt"
    for name in (key, elsewhere):
        server.s3.put_object(Bucket="plain", Key=name, Body=b"x")
    forbidden = {
        "read": lambda: node.get_object(Bucket="plain", Key=key),
        "look at": lambda: node.head_object(Bucket="plain", Key=key),
        "list": lambda: node.list_objects_v2(Bucket="plain"),
        "delete": lambda: node.delete_object(Bucket="plain", Key=key),
        "write elsewhere": lambda: node.put_object(Bucket="plain", Key=elsewhere, Body=b"y"),
        "change the policy": lambda: node.delete_bucket_policy(Bucket="plain"),
    }
    for what, act in forbidden.items():
        with pytest.raises(ClientError) as caught:
            act()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, what
    assert {key, elsewhere} <= set(server.keys("plain"))
