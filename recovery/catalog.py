"""The copies of one cluster in S3.

Keys are ``PREFIX/CLUSTER/MANAGER/swarm-ENGINE-MANAGER-UTCTIME.tar.zst`` and, beside it and
written last, ``….manifest.json``. A tarball without a manifest is not a copy.
"""

import tempfile
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from recovery import snapshot
from recovery.errors import DamagedCopy, NoUnlockKey, NoUsableCopy
from recovery.escrow import Escrow
from recovery.keyfile import UnlockKey
from recovery.manifest import WITH_INVENTORY, Manifest, from_json
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
        self._texts: dict[Copy, bytes] = {}
        keys = set(self.store.keys(self.prefix))
        found = [copy for key in keys if key.endswith(MANIFEST) and (copy := _copy(key)) and copy.key in keys]
        self.copies: tuple[Copy, ...] = tuple(sorted(found, key=lambda copy: (copy.taken, copy.key), reverse=True))

    def manifest(self, copy: Copy) -> Manifest:
        """The copy's manifest. Raises: StoreError; DamagedCopy."""
        if copy not in self._texts:
            self._texts[copy] = self.store.get(copy.manifest_key)
        return from_json(self._texts[copy], source=copy.name)

    def manifests(self) -> list[tuple[Copy, Manifest | DamagedCopy]]:
        """Every copy with its manifest, or with what is wrong with that, newest first. Raises: StoreError."""
        with ThreadPoolExecutor(max_workers=16) as pool:
            return list(zip(self.copies, pool.map(self._try_manifest, self.copies), strict=True))

    def newest(self, manager: str) -> Copy | None:
        """The newest copy of one manager."""
        return next((copy for copy in self.copies if copy.manager == manager), None)

    def newest_manifests(self) -> dict[Copy, Manifest]:
        """The newest copy of each manager, by manager's name, with its manifest; without those that cannot be read.

        Raises: StoreError.
        """
        newest = [copy for name in sorted({copy.manager for copy in self.copies}) if (copy := self.newest(name))]
        read = {copy: self._try_manifest(copy) for copy in newest}
        return {copy: manifest for copy, manifest in read.items() if not isinstance(manifest, DamagedCopy)}

    def named(self, name: str) -> Copy:
        """The copy of that name. Raises: NoUsableCopy."""
        found = next((copy for copy in self.copies if copy.name == name), None)
        if found is None:
            raise NoUsableCopy(
                f"looking for {name}", "S3 holds no such copy", remedy="requorum backups; then run the preview again"
            )
        return found

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
    """A copy that was read whole and found good, with its manifest."""

    copy: Copy
    manifest: Manifest


@dataclass(frozen=True)
class Search:
    """What a search for a good copy came to: the choice, its archive and what opens it, and why newer ones were passed over."""

    choice: Choice | None
    rejected: tuple[str, ...]
    archive: Path | None = None
    key: UnlockKey | None = None


@contextmanager
def newest_good(
    catalog: Catalog, escrow: Escrow, managers: Collection[str], cluster_id: str | None, *, whole: bool = True
) -> Iterator[Search]:
    """The newest good copy of any of the managers; its archive is there for as long as the context is.

    Each candidate is read whole and compared with its manifest before it is chosen. ``cluster_id``,
    where known, keeps copies of another swarm out. ``whole`` asks for one that a swarm can be restored
    from, and not only a manager's identity. One of an autolocked swarm counts when a key in escrow opens it.

    Raises: StoreError; SettingError when an unlock key is needed and the identity cannot be used.
    """
    rejected: list[str] = []
    for copy in (copy for copy in catalog.copies if copy.manager in managers):
        with ExitStack() as opened:
            try:
                manifest, archive = opened.enter_context(catalog.verified(copy))
            except DamagedCopy as error:
                rejected.append(f"{copy.name}: {error.why}")
                continue
            if cluster_id and manifest.cluster_id != cluster_id:
                rejected.append(f"{copy.name}: a copy of another swarm ({manifest.cluster_id})")
                continue
            if whole and manifest.kind not in WITH_INVENTORY:
                continue
            try:
                key = (
                    escrow.opening(snapshot.key_file(archive, source=copy.name), whose=copy.name)
                    if manifest.autolock
                    else None
                )
            except NoUnlockKey as error:
                rejected.append(f"{copy.name}: {error.why}")
                continue
            yield Search(Choice(copy, manifest), tuple(rejected), archive, key)
            return
    yield Search(None, tuple(rejected))


def _copy(manifest_key: str) -> Copy | None:
    key = manifest_key.removesuffix(MANIFEST) + ARCHIVE
    manager, name = key.split("/")[-2:]
    try:
        taken = datetime.strptime(name.removesuffix(ARCHIVE).rsplit("-", 1)[-1], TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Copy(key, manager, taken)
