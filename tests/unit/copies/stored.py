"""Copies of managers in a bucket."""

from datetime import timedelta
from pathlib import Path

from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.onnode.archive import CA, CERTIFICATE
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.copies.test_snapshot import CONTENT, archive, described, sealed_beside

NAMES = ("manager-a", "manager-b", "manager-c")


def put(
    of: Settings,
    folder: Path,
    manager: str,
    minutes: int,
    *,
    cluster: str = make.CLUSTER,
    address: str = "",
    node_id: str = "",
    **changes: object,
) -> Copy:
    node_id = node_id or f"id-{manager}"
    content = {**CONTENT, CERTIFICATE: make.certificate(node_id, cluster), CA: make.ca(cluster)}
    path = archive(folder / f"{manager}-{minutes}", content)
    address = address or str(of.node(manager).address)
    made = described(
        path,
        manager=manager,
        node_id=node_id,
        address=address,
        taken=make.NOW - timedelta(minutes=minutes),
        cluster_id=cluster,
        **changes,
    )
    return Catalog(of).add(made, sealed_beside(path))
