"""Restores a data copy into its service. The copy is verified first, then opened on its way to the node."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recovery.cluster import Cluster
from recovery.copies.naming import LATEST
from recovery.copies.workspace import workspace
from recovery.data import stream, task
from recovery.data.backup import SECONDS
from recovery.data.catalog import DataCatalog, DataCopy
from recovery.data.manifest import DataManifest
from recovery.data.task import TaskLocation
from recovery.errors import NoUsableCopy, Refused
from recovery.node import program
from recovery.s3.lease import operator
from recovery.settings import Data


@dataclass(frozen=True)
class Restore:
    """A copy, and the service's task that it is to be restored into."""

    copy: DataCopy
    manifest: DataManifest
    data: Data
    place: TaskLocation

    @property
    def text(self) -> str:
        """The description that an operator consents to."""
        copy = self.copy.name
        if self.manifest.unsigned:
            copy += f" (no operator vouches for its content: {self.manifest.unsigned})"
        if self.data.volume is None:
            return f"restore {copy} into {self.place.text} with: {' '.join(self.data.restore)}"
        return (
            f"replace the content of volume {self.data.volume} of {self.place.text} with {copy}, "
            "and kill every container on the node that mounts the volume (swarm starts its tasks again)"
        )


def choose(catalog: DataCatalog, owner: str, choice: str | datetime | None) -> DataCopy:
    """The copy of that name, or the newest one taken at or before a time, or the newest. Only a named one may be unsigned.

    Raises: NoUsableCopy, StoreError.
    """
    doing, remedy = f"restoring {owner}", "requorum data list"
    if isinstance(choice, str) and choice != LATEST:
        copy = catalog.named(choice)
        if copy.owner != owner:
            why = f"{choice} is a copy of {copy.owner}"
            raise NoUsableCopy(doing, why, remedy=remedy, code="copy-does-not-fit")
        return copy
    until = choice if isinstance(choice, datetime) else None
    fitting = [copy for copy in catalog.of(owner) if until is None or copy.dated <= until]
    found = next((copy for copy in fitting if catalog.counts(copy)), None)
    if found is None:
        why = "S3 has no copy of it" + (f" taken at or before {until.isoformat()}" if until else "")
        if fitting:
            why += " that an operator signed"
            remedy = f"if you know that this copy is genuine: requorum data restore {owner} --copy {fitting[0].name}"
        raise NoUsableCopy(doing, why, remedy=remedy, code="no-copy")
    return found


def plan(cluster: Cluster, catalog: DataCatalog, owner: str, choice: str | datetime | None) -> Restore:
    """Describe a restore. Changes nothing.

    Raises: NoUsableCopy, DamagedCopy, Refused; SettingError, also if no identity is available; StoreError,
    EngineError, TransportError, HostError.
    """
    data = cluster.settings.named_data(owner)
    copy = choose(catalog, owner, choice)
    manifest = catalog.manifest(copy)
    if bool(manifest.volume) != bool(data.volume):
        made, wanted = ("a volume", "commands") if manifest.volume else ("a command's output", "a volume")
        raise Refused(
            f"restoring {owner}",
            f"{copy.name} is a copy of {made}, but requorum:data.{owner} names {wanted}",
            remedy=f"choose another copy, or name {made} in requorum:data.{owner}",
            code="copy-does-not-fit",
        )
    catalog.identities  # noqa: B018 - it raises
    return Restore(copy, manifest, data, task.find(cluster, data))


@contextmanager
def verified(
    catalog: DataCatalog, copy: DataCopy, manifest: DataManifest, *, say: Callable[[str], None]
) -> Iterator[Path]:
    """The copy's sealed object as a local file, after it was read completely and compared with its manifest.

    Raises: StoreError; DamagedCopy; LocalError; SettingError if no identity is available.
    """
    identities = catalog.identities
    say(f"verifying {copy.name}")
    with workspace() as folder:
        sealed = folder / "copy"
        catalog.download(copy, sealed, lambda path: stream.check(path, manifest, identities, source=copy.name))
        yield sealed


def restore(cluster: Cluster, catalog: DataCatalog, wanted: Restore, *, say: Callable[[str], None]) -> float:
    """Carry out the restore. Returns the seconds that the service needed. A lease keeps other operators out.

    Raises: Refused if another operator restores the same data; DamagedCopy, with nothing changed; CommandFailed if the
    service's command fails or the stream is interrupted; StoreError, TransportError, SettingError.
    """
    copy, manifest, data, place = wanted.copy, wanted.manifest, wanted.data, wanted.place
    key, doing = f"{catalog.prefix}{copy.owner}/lease.json", f"restoring {copy.owner}"
    with (
        cluster.leases.hold(catalog.store, key, doing, by=operator(), say=say),
        verified(catalog, copy, manifest, say=say) as sealed,
        cluster.shell(place.node) as shell,
    ):
        say(f"restoring into {place.text}")
        given = {
            **place.given(copy.owner, data.restore, data.volume),
            "plain_size": manifest.plain_size,
            "plain_sha256": manifest.plain_sha256,
        }
        with stream.opened(sealed, catalog.identities, first=program.packed()) as content:
            found = program.feed(shell, "give-data", json.dumps(given), stdin=content, seconds=SECONDS)
    return float(found["seconds"])
