"""The copies of services' data in S3.

Keys are ``PREFIX/CLUSTER/data/NAME/data-NAME-UTCTIME.zst.age`` and, beside it and written last, ``….manifest.json``.
They lie a folder deeper than the copies of managers, whose listing leaves them alone, as this one leaves those.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from recovery.copies.copy import TIME, WithTime, newest_first
from recovery.data.manifest import NO_REMEDY, DataManifest, from_json
from recovery.errors import DamagedCopy, NoUsableCopy
from recovery.s3.keys import DATA_ARCHIVE, MANIFEST
from recovery.s3.replicas import Replicas
from recovery.s3.sealing import Identities
from recovery.s3.site import Site
from recovery.s3.store import Store
from recovery.settings import Settings

OBJECT = re.compile(r"(?P<owner>[^/]+)/(?P<name>data-(?P=owner)-(?P<time>\d{8}T\d{12}Z))")
"""The key of a copy below the folder, without its suffix."""
Read = tuple["DataCopy", DataManifest | DamagedCopy]


@dataclass(frozen=True)
class DataCopy(WithTime):
    """One copy, known by the key of its archive."""

    key: str
    owner: str
    """The data's name in the settings of then."""
    taken: datetime
    sites: tuple[str, ...] = field(default=(), compare=False)
    """Where all of it lies: main, second."""
    written: datetime | None = field(default=None, compare=False)
    """When S3 took its manifest."""

    @property
    def manifest_key(self) -> str:
        """Where its manifest lies."""
        return self.key.removesuffix(DATA_ARCHIVE) + MANIFEST

    @property
    def name(self) -> str:
        """What an operator calls it."""
        return self.key.rsplit("/", 1)[-1].removesuffix(DATA_ARCHIVE)


class DataCatalog:
    """The copies of data of the settings' cluster, newest first, as of the listing made at the start. Those whose node's
    clock was ahead come after all others.

    With requorum:backup.asOf they are listed and read as they were then. Raises: StoreError, also where there is no
    copy and one of the sites could not be asked.
    """

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self.store = store or Store(settings.backup.sites)
        self.prefix = settings.keys.data
        self._identity_file = settings.backup.identity_file
        self._then = self.store.then
        self._places = self._then.listed(self.prefix)
        self._replicas = Replicas("requorum data backup", NO_REMEDY)
        found = newest_first(self._listed())
        self.copies = tuple(copy for copy in found if copy.manifest_key in self._places)
        self.halves = tuple(copy for copy in found if copy.manifest_key not in self._places)
        """Archives without a manifest: uploads under way, or that broke off."""
        if self._then.fault and not self.copies:
            raise self._then.fault

    @cached_property
    def identities(self) -> Identities:
        """What opens the copies here. Raises: SettingError."""
        return Identities(self._identity_file, setting="backup.identityFile")

    def of(self, owner: str) -> tuple[DataCopy, ...]:
        """The copies of one data, newest first."""
        return tuple(copy for copy in self.copies if copy.owner == owner)

    def newest_of_each(self) -> tuple[DataCopy, ...]:
        """The newest copy of each data, by name."""
        return tuple(self.of(owner)[0] for owner in sorted({copy.owner for copy in self.copies}))

    def named(self, name: str) -> DataCopy:
        """The copy of that name. Raises: NoUsableCopy."""
        found = next((copy for copy in self.copies if copy.name == name), None)
        if found is None:
            raise NoUsableCopy(f"looking for {name}", "S3 holds no such copy of data", remedy="requorum data list")
        return found

    def manifest(self, copy: DataCopy) -> DataManifest:
        """The copy's manifest. Raises: StoreError; DamagedCopy, also when it was removed since the listing."""
        held = self._then.looks(copy.manifest_key)
        return self._replicas.first_good(copy.name, "manifest", held, lambda text: _made(copy, text))

    def manifests(self) -> list[Read]:
        """Every copy with its manifest, or with what is wrong with it, newest first; its `sites` are those where its archive is
        as long as the manifest has it. Raises: StoreError.
        """
        with ThreadPoolExecutor(max_workers=16) as pool:
            return list(pool.map(self._read, self.copies))

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should know about where copies were read."""
        return (*self.store.notes, *self._replicas.notes)

    def download(self, copy: DataCopy, sealed: Path, check: Callable[[Path], None]) -> None:
        """The copy's object into a local file, of the first site whose passes the check. Raises: as the check; StoreError."""
        self._replicas.first_good(copy.name, "archive", self._then.downloads(copy.key, sealed), check)

    def add(self, manifest: DataManifest, sealed: Path) -> DataCopy:
        """Store a copy at every site: the sealed archive first, its manifest last.

        Where the second site fails, the copy counts all the same: its `sites` lack that, and the store's notes say why.
        Raises: StoreError.
        """
        stamp = manifest.taken.astimezone(UTC).strftime(TIME)
        key = f"{self.prefix}{manifest.name}/data-{manifest.name}-{stamp}{DATA_ARCHIVE}"
        copy = DataCopy(key, manifest.name, manifest.taken)

        def write(site: Site) -> None:
            site.upload(sealed, copy.key)
            site.keep(copy.manifest_key, manifest.to_json())

        return replace(copy, sites=self.store.everywhere(write))

    def _listed(self) -> Iterator[DataCopy]:
        """Every archive under a name of ours."""
        for key, sites in self._places.items():
            if copy := at(key, self.prefix):
                beside = self._places.get(copy.manifest_key, {})
                held = tuple(site for site in sites if site in beside)
                yield replace(copy, sites=held, written=min((found.written for found in beside.values()), default=None))

    def _read(self, copy: DataCopy) -> Read:
        try:
            manifest = self.manifest(copy)
            whole = self._replicas.whole(copy.name, self._places[copy.key], manifest.size)
        except DamagedCopy as error:
            return replace(copy, sites=()), error
        return replace(copy, sites=tuple(site for site in copy.sites if site in whole)), manifest


def _made(copy: DataCopy, text: bytes) -> DataManifest:
    """The manifest in a copy's object. Raises: DamagedCopy."""
    found = from_json(text, source=copy.name)
    if found.name != copy.owner:
        raise DamagedCopy(f"reading {copy.name}", f"it is a copy of {found.name}", remedy=NO_REMEDY)
    return found


def at(key: str, prefix: str) -> DataCopy | None:
    """The copy whose archive would lie at the key, below ``PREFIX/CLUSTER/data/``; None where that is no name of ours."""
    found = OBJECT.fullmatch(key.removeprefix(prefix).removesuffix(DATA_ARCHIVE))
    if not (found and key.startswith(prefix) and key.endswith(DATA_ARCHIVE)):
        return None
    try:
        return DataCopy(key, found["owner"], datetime.strptime(found["time"], TIME).replace(tzinfo=UTC))
    except ValueError:
        return None
