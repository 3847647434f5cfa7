"""Copies service data to S3: read in a task's container, compressed and sealed on its node, and sent while it is read."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from recovery.cluster import Cluster
from recovery.copies.workspace import workspace
from recovery.data import stream, task
from recovery.data.catalog import DataCatalog, DataCopy
from recovery.data.manifest import DataManifest
from recovery.errors import RequorumError
from recovery.node import program
from recovery.s3.sealing import at_hand
from recovery.settings import Data, Settings

SECONDS = 24 * 3600.0
"""The time limit for one copy to be read and sent, or restored."""


@dataclass(frozen=True)
class DataBackupResult:
    """The result of one copy: the copy with its manifest, or the error."""

    name: str
    copy: DataCopy | None = None
    manifest: DataManifest | None = None
    error: RequorumError | None = None

    def missing_at(self, settings: Settings) -> bool:
        """Whether a site lacks the copy. `backup` reports the reason."""
        return self.copy is not None and len(self.copy.sites) < len(settings.backup.sites)


def backup(cluster: Cluster, names: Sequence[str], *, say: Callable[[str], None]) -> Iterator[DataBackupResult]:
    """Copy each of the named data, one after the other. If one fails, the others are still copied.

    Raises: StoreError; SettingError for a name that is not in the settings, or if the operator's key cannot sign.
    """
    chosen = {name: cluster.settings.named_data(name) for name in names}
    cluster.operators.require()
    catalog = DataCatalog(cluster)
    catalog.store.require_lock()
    for name, data in chosen.items():
        try:
            yield DataBackupResult(name, *_take(cluster, catalog, name, data, say))
        except RequorumError as error:
            yield DataBackupResult(name, error=error)
    for note in catalog.store.notes:
        say(note)


def _take(
    cluster: Cluster, catalog: DataCatalog, name: str, data: Data, say: Callable[[str], None]
) -> tuple[DataCopy, DataManifest]:
    settings, place = cluster.settings, task.find(cluster, data)
    say(f"copying {name}: {place.text}")
    recipients = settings.backup.recipients
    given = {**place.given(name, data.backup, data.volume), "recipients": recipients}
    with workspace() as folder:
        sealed, taken = folder / "copy", datetime.now(UTC)
        with cluster.shell(place.node) as shell:
            found = program.fetch(shell, "take-data", json.dumps(given), stdout=sealed, seconds=SECONDS)
        manifest = DataManifest(
            name=name,
            service=data.service,
            image=place.task.image,
            node=place.node.name,
            slot=place.task.slot,
            command=data.backup,
            volume=data.volume,
            cluster_id=place.cluster_id,
            taken=taken,
            recipients=recipients,
            **found,
        )
        stream.check_sealed(sealed, manifest, source=f"the copy of {name}")
        made = catalog.add(manifest, sealed)
        if at_hand(settings.backup.identity_file):  # a copy that cannot be opened is reported now, not in a restore
            stream.check(sealed, manifest, catalog.identities, source=made.name)
        return made, manifest
