"""Gives a copy back to its service: read whole and found good first, then opened on its way to the node."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recovery.copies.workspace import workspace
from recovery.data import stream, task
from recovery.data.backup import SECONDS
from recovery.data.catalog import DataCatalog, DataCopy
from recovery.data.manifest import DataManifest
from recovery.data.task import TaskLocation
from recovery.errors import NoUsableCopy, Refused
from recovery.node import program
from recovery.node.ssh import Shell
from recovery.s3 import lease
from recovery.s3.lease import operator
from recovery.settings import Data, Settings


@dataclass(frozen=True)
class Restore:
    """What is to be given to whom."""

    copy: DataCopy
    manifest: DataManifest
    data: Data
    place: TaskLocation

    @property
    def text(self) -> str:
        """As an operator agrees to it."""
        if self.data.volume is None:
            return f"give {self.copy.name} to {self.place.text}: {' '.join(self.data.restore)}"
        return (
            f"replace what volume {self.data.volume} of {self.place.text} holds by {self.copy.name}, "
            "and kill every container there that mounts it (swarm starts its tasks again)"
        )


def choose(catalog: DataCatalog, owner: str, choice: str | datetime | None) -> DataCopy:
    """The copy of that name, the newest that is no younger than a time, or the newest. Raises: NoUsableCopy."""
    if isinstance(choice, str):
        copy = catalog.named(choice)
        if copy.owner != owner:
            raise NoUsableCopy(f"restoring {owner}", f"{choice} is a copy of {copy.owner}", remedy="requorum data list")
        return copy
    found = next((copy for copy in catalog.of(owner) if choice is None or copy.dated <= choice), None)
    if found is None:
        why = "S3 holds no copy of it" + (f" from before {choice.isoformat()}" if choice else "")
        raise NoUsableCopy(f"restoring {owner}", why, remedy="requorum data list")
    return found


def plan(settings: Settings, catalog: DataCatalog, owner: str, choice: str | datetime | None) -> Restore:
    """What a restore would do; nothing is done.

    Raises: NoUsableCopy, DamagedCopy, Refused; SettingError, also when there is no identity to open the copy; StoreError,
    EngineError, TransportError, HostError.
    """
    data = settings.named_data(owner)
    copy = choose(catalog, owner, choice)
    manifest = catalog.manifest(copy)
    if bool(manifest.volume) != bool(data.volume):
        made, wanted = ("a volume", "a command") if manifest.volume else ("a command", "a volume")
        raise Refused(
            f"restoring {owner}",
            f"{copy.name} was made of {made}, and requorum:data.{owner} names {wanted}",
            remedy="choose another copy, or name in the settings what it was made of",
        )
    catalog.identities  # noqa: B018 - it raises
    return Restore(copy, manifest, data, task.find(settings, data))


@contextmanager
def verified(
    catalog: DataCatalog, copy: DataCopy, manifest: DataManifest, *, say: Callable[[str], None]
) -> Iterator[Path]:
    """The copy's object as a local file, sealed as it is; read whole and found good.

    Raises: StoreError; DamagedCopy; LocalError; SettingError when there is no identity to open it with.
    """
    identities = catalog.identities
    say(f"reading {copy.name} whole")
    with workspace() as folder:
        sealed = folder / "copy"
        catalog.download(copy, sealed, lambda path: stream.check(path, manifest, identities, source=copy.name))
        yield sealed


def restore(settings: Settings, catalog: DataCatalog, wanted: Restore, *, say: Callable[[str], None]) -> float:
    """Do it; the seconds that the service's side of it took. Two operators cannot restore the same data at once.

    Raises: Refused when another is at it; DamagedCopy, with nothing done; CommandFailed when the service's command ends with an error, or the stream
    breaks off; StoreError, TransportError, SettingError.
    """
    copy, manifest, data, place = wanted.copy, wanted.manifest, wanted.data, wanted.place
    key, doing = f"{catalog.prefix}{copy.owner}/lease.json", f"restoring {copy.owner}"
    with (
        lease.hold(catalog.store, key, doing, by=operator(), say=say),
        verified(catalog, copy, manifest, say=say) as sealed,
        Shell(place.node, settings.ssh) as shell,
    ):
        say(f"giving it to {place.text}")
        given = {
            **place.given(copy.owner, data.restore, data.volume),
            "plain_size": manifest.plain_size,
            "plain_sha256": manifest.plain_sha256,
        }
        with stream.opened(sealed, catalog.identities, first=program.packed()) as content:
            found = program.feed(shell, "give-data", json.dumps(given), stdin=content, seconds=SECONDS)
    return float(found["seconds"])
