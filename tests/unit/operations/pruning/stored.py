"""Copies that are stored in a bucket, and what pruning leaves of them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from recovery.cluster import Cluster
from recovery.copies import retention
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.copies.manifest import Proof, Verdict
from recovery.copies.retention import Decision
from recovery.operations.prune import MANAGERS
from recovery.s3 import client
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.copies.candidates import NOW, policy


def ruled(**counts: int) -> Settings:
    made = make.settings()
    return made.model_copy(update={"backup": made.backup.model_copy(update={"retention": policy(**counts)})})


def put(
    of: Settings, folder: Path, ago: timedelta, *, manager: str = "manager-a", proven: bool = True, **more: Any
) -> Copy:
    sealed = folder / "sealed"
    sealed.write_bytes(bytes(100))
    proof = Proof(Verdict.PROVEN if proven else Verdict.FAILED, NOW)
    return Catalog(of).add(make.manifest(manager, proof=proof, taken=NOW - ago, size=100, **more), sealed)


LEASE = "requorum/lab/lease.json"


def keys(bucket: Any) -> set[str]:
    """All that lies there but the lease, which stays when it is given back."""
    return {found.key for found in bucket.objects.all()} - {LEASE}


def objects(*copies: Copy) -> set[str]:
    return {key for copy in copies for key in (copy.key, copy.manifest_key)}


def held(bucket: Any, name: str) -> set[str]:
    """What lies at a site, by its bucket."""
    found = bucket.meta.client.list_objects_v2(Bucket=name).get("Contents", ())
    return {entry["Key"] for entry in found} - {LEASE}


def go(of: Settings) -> list[Decision]:
    return [decision for decision in MANAGERS.look(Cluster(of), NOW) if not decision.keep]


def prune(of: Settings, agreed: list[Decision] | None = None) -> list[retention.Removal]:
    return list(MANAGERS.prune(Cluster(of), go(of) if agreed is None else agreed, NOW, say=print))


def refuse(
    of: Settings, monkeypatch: pytest.MonkeyPatch, *refused: str, error: Exception | None = None, site: int = 0
) -> list[str]:
    """Let S3 refuse to delete these keys at a site; every deletion there that was asked for, in order."""
    s3, asked = client.client(of.backup.sites[site], client.PATIENT), list[str]()
    real = s3.delete_object

    def delete_object(**given: Any) -> Any:
        asked.append(given["Key"])
        if given["Key"] in refused:
            raise error or ClientError(
                {"Error": {"Code": "AccessDenied", "Message": "object is locked"}}, "DeleteObject"
            )
        return real(**given)

    monkeypatch.setattr(s3, "delete_object", delete_object)
    return asked
