"""What is written to a site, and its settings."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.escrow import Escrow
from recovery.operations import consent
from recovery.settings import Settings
from recovery.steps import journal
from recovery.swarm.key_file import UnlockKey
from tests.unit import factories as make

MANIFEST = make.manifest()
UNLOCK = UnlockKey("SWMKEY-1-wBHuRZZ0gWzOlm8jSYGxPGh5dQVTTbGLxkbTLzWZhqg")
CUSTOMER = bytes(range(32))
LOCK = {"mode": "compliance", "days": 7}


def of(**changes: Any) -> Settings:
    backup = {**make.RAW["backup"], **changes}
    return make.settings(backup=backup, escrow={"recipients": backup["recipients"]}, recover=True)


THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def write_everything(settings: Settings, sealed: Path) -> None:
    Catalog(settings).add(MANIFEST, sealed)
    Escrow(settings).keep(UNLOCK)
    with Cluster(settings).hold("recovery", say=print):
        journal.begin(Cluster(settings), "force", "manager-a", print)
        consent.settle(Cluster(settings), settings.recover)
