"""The copies of one cluster in S3.

Keys are ``PREFIX/CLUSTER/MANAGER/swarm-ENGINE-MANAGER-UTCTIME.tar.zst`` and, beside it and
written last, ``….manifest.json``. A tarball without a manifest is not a copy.
"""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from recovery import snapshot
from recovery.errors import DamagedCopy
from recovery.manifest import Manifest, from_json
from recovery.settings import Settings
from recovery.store import Store

ARCHIVE = ".tar.zst"
MANIFEST = ".manifest.json"
TIME = "%Y%m%dT%H%M%S%fZ"
"""UTC with microseconds, so that names sort by time."""


@dataclass(frozen=True)
class Copy:
    """One copy, known by the key of its archive."""

    key: str
    manager: str
    taken: datetime

    @property
    def manifest_key(self) -> str:
        """Where its manifest lies."""
        return self.key.removesuffix(ARCHIVE) + MANIFEST

    @property
    def name(self) -> str:
        """What an operator calls it."""
        return self.key.rsplit("/", 1)[-1].removesuffix(ARCHIVE)


class Catalog:
    """The copies of the settings' cluster, newest first, as of the listing made at the start.

    Raises: StoreError.
    """

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self.store = store or Store(settings.backup)
        self.prefix = f"{settings.backup.prefix}/{settings.cluster}/"
        keys = set(self.store.keys(self.prefix))
        found = [copy for key in keys if key.endswith(MANIFEST) and (copy := _copy(key)) and copy.key in keys]
        self.copies: tuple[Copy, ...] = tuple(sorted(found, key=lambda copy: (copy.taken, copy.key), reverse=True))

    def manifest(self, copy: Copy) -> Manifest:
        """The copy's manifest. Raises: StoreError; DamagedCopy."""
        return from_json(self.store.get(copy.manifest_key), source=copy.name)

    def manifests(self) -> list[tuple[Copy, Manifest | DamagedCopy]]:
        """Every copy with its manifest, or with what is wrong with that, newest first. Raises: StoreError."""
        with ThreadPoolExecutor(max_workers=16) as pool:
            return list(zip(self.copies, pool.map(self._try_manifest, self.copies), strict=True))

    def newest(self, manager: str) -> Copy | None:
        """The newest copy of one manager."""
        return next((copy for copy in self.copies if copy.manager == manager), None)

    @contextmanager
    def verified(self, copy: Copy) -> Iterator[tuple[Manifest, Path]]:
        """The copy's manifest and its archive as a local file, read whole and found good.

        Raises: StoreError; DamagedCopy.
        """
        manifest = self.manifest(copy)
        with tempfile.TemporaryDirectory(prefix="requorum-") as folder:
            archive = Path(folder) / "copy"
            self.store.download(copy.key, archive)
            snapshot.check(archive, manifest, source=copy.name)
            if manifest.manager != copy.manager:
                raise DamagedCopy(
                    f"verifying {copy.name}", f"it is a copy of {manifest.manager}", remedy="requorum backups"
                )
            yield manifest, archive

    def add(self, manifest: Manifest, archive: Path) -> Copy:
        """Store a copy: the archive first, its manifest last. Raises: StoreError."""
        stamp = manifest.taken.astimezone(UTC).strftime(TIME)
        key = f"{self.prefix}{manifest.manager}/swarm-{manifest.engine}-{manifest.manager}-{stamp}{ARCHIVE}"
        copy = Copy(key, manifest.manager, manifest.taken)
        self.store.upload(archive, copy.key)
        self.store.put(copy.manifest_key, manifest.to_json())
        return copy

    def _try_manifest(self, copy: Copy) -> Manifest | DamagedCopy:
        try:
            return self.manifest(copy)
        except DamagedCopy as error:
            return error


@dataclass(frozen=True)
class Choice:
    """The copy to restore from, what its manifest says, and the newer ones that were passed over, with why."""

    copy: Copy
    manifest: Manifest
    rejected: tuple[str, ...] = ()


def choose(
    catalog: Catalog, wanted: Callable[[Copy], bool], cluster_id: str | None
) -> tuple[Choice | None, tuple[str, ...]]:
    """The newest good copy among the wanted ones, and why newer ones were passed over.

    Each candidate is read whole and compared with its manifest before it is chosen.
    ``cluster_id``, where known, keeps copies of another swarm out.

    Raises: StoreError.
    """
    rejected: list[str] = []
    for copy in filter(wanted, catalog.copies):
        try:
            with catalog.verified(copy) as (manifest, _):
                if cluster_id and manifest.cluster_id != cluster_id:
                    rejected.append(f"{copy.name}: a copy of another swarm ({manifest.cluster_id})")
                    continue
                return Choice(copy, manifest, tuple(rejected)), tuple(rejected)
        except DamagedCopy as error:
            rejected.append(f"{copy.name}: {error.why}")
    return None, tuple(rejected)


def _copy(manifest_key: str) -> Copy | None:
    key = manifest_key.removesuffix(MANIFEST) + ARCHIVE
    manager, name = key.split("/")[-2:]
    try:
        taken = datetime.strptime(name.removesuffix(ARCHIVE).rsplit("-", 1)[-1], TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Copy(key, manager, taken)
