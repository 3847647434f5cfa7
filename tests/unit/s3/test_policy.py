"""The policy for the nodes' credentials, as a server would read it."""

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
from botocore.exceptions import ClientError

from recovery.s3 import policy
from recovery.s3.bucket import Bucket
from recovery.s3.server_errors import POLICY, explain
from tests.unit import factories as make

OF = make.settings()
BUCKET = OF.backup.sites[0]
NAMES = [manager.name for manager in OF.managers]
COPY = make.copy_of(make.manifest())
HOME = f"{BUCKET.prefix}/{OF.cluster}/"
ID = "1234abcd-12ab-34cd-56ef-1234567890ab"


def allowed(action: str, key: str, bucket: Bucket = BUCKET) -> bool:
    """``*`` stands for any characters, slashes too, as in `fnmatch`."""
    where = f"arn:aws:s3:::{bucket.name}/{key}"
    return any(
        action in one["Action"] and any(fnmatchcase(where, wanted) for wanted in one["Resource"])
        for one in policy.of_nodes(bucket, OF.cluster, NAMES)["Statement"]
    )


WRITTEN = (
    COPY.key,
    COPY.manifest_key,
    f"{HOME}unlock-keys/abc.age",
    f"{HOME}agent/lease.json",
    f"{HOME}agent/mark.json",
    f"{HOME}agent/history/manager-a.json",
)
FOREIGN = (
    COPY.drill_key,
    COPY.keep_key,
    OF.keys.lost_node("manager-a"),
    *(HOME + name for name in ("lease.json", "consent.json", "journal/x.json", "reports/x.json", "lost/swarm-x.json")),
    HOME + "data/orders/data-orders-20260102T030405000000Z.manifest.json",
    HOME + "data/swarm-orders/data-swarm-orders-20260102T030405000000Z.manifest.json",
    COPY.key.replace("/manager-a/", "/manager-z/"),
    COPY.key.replace("/lab/", "/other/"),
)


@pytest.mark.parametrize("key", WRITTEN)
def test_a_node_may_write_what_an_agent_writes(key: str) -> None:
    assert allowed("s3:PutObject", key)
    assert not allowed("s3:PutObjectRetention", key)
    locked = replace(BUCKET, lock="governance", lock_days=1)
    assert allowed("s3:PutObjectRetention", key, locked) is ("/agent/" not in key)


def test_on_aws_and_only_there_an_agent_may_write_new_objects_alone() -> None:
    def conditions(bucket: Bucket) -> list[dict[str, Any]]:
        given = policy.of_nodes(bucket, OF.cluster, NAMES)["Statement"]
        return [
            one.get("Condition", {})
            for one in given
            if "s3:PutObject" in one["Action"]
            and any("swarm-" in where or "unlock-keys" in where for where in one["Resource"])
        ]

    parts = {"Bool": {"s3:ObjectCreationOperation": "false"}}
    assert conditions(replace(BUCKET, endpoint=None)) == [{"Null": {"s3:if-none-match": "false"}}, parts]
    assert conditions(replace(BUCKET, endpoint="https://s3.example.org")) == [{}]


@pytest.mark.parametrize("key", FOREIGN)
def test_a_node_may_not_write_what_others_write(key: str) -> None:
    assert not allowed("s3:PutObject", key)


@pytest.mark.parametrize("key", [*WRITTEN, *FOREIGN])
def test_a_node_may_read_only_what_agents_tell_each_other(key: str) -> None:
    assert allowed("s3:GetObject", key) is ("/agent/" in key)
    statements = policy.of_nodes(BUCKET, OF.cluster, NAMES)["Statement"]
    actions = {action for one in statements for action in one["Action"]}
    assert not any("Delete" in action or "List" in action or "*" in action for action in actions)


def encryption(bucket: Bucket) -> list[dict[str, Any]]:
    return [one for one in policy.of_nodes(bucket, OF.cluster, NAMES)["Statement"] if one["Sid"] == "Encryption"]


@pytest.mark.parametrize(
    ("key", "resource", "alias"),
    [
        (ID, f"arn:aws:kms:eu-west-1:*:key/{ID}", None),
        (f"arn:aws:kms:eu-north-1:42:key/{ID}", f"arn:aws:kms:eu-north-1:42:key/{ID}", None),
        ("alias/copies", "arn:aws:kms:eu-west-1:*:key/*", "alias/copies"),
        ("arn:aws:kms:eu-north-1:42:alias/copies", "arn:aws:kms:eu-north-1:42:key/*", "alias/copies"),
    ],
)
def test_a_key_of_ones_own_may_be_used(key: str, resource: str, alias: str | None) -> None:
    (found,) = encryption(replace(BUCKET, region="eu-west-1", encryption="kms", kms_key_id=key))
    assert found["Action"] == ["kms:GenerateDataKey", "kms:Decrypt"]
    assert found["Resource"] == [resource]
    asked = found.get("Condition", {}).get("ForAnyValue:StringEquals", {}).get("kms:ResourceAliases")
    assert asked == alias


def test_the_servers_own_key_needs_no_word() -> None:
    assert not encryption(replace(BUCKET, encryption="kms"))


def test_a_node_that_is_refused_is_told_to_look_at_its_policy() -> None:
    refused = ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "PutObject")
    assert explain(refused, "x", replace(BUCKET, write_only=True), "backup").remedy == POLICY
    assert explain(refused, "x", BUCKET, "backup").remedy != POLICY
