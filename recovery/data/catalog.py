"""The copies of service data in S3.

The archive is ``PREFIX/CLUSTER/data/NAME/data-NAME-UTCTIME.zst.age``. The manifest ``….manifest.json`` is written after
it. They are stored one folder deeper than the copies of managers, so that neither listing shows the other's copies.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from recovery.cluster import Cluster
from recovery.copies import naming
from recovery.copies.copy import TIME, WithTime, newest_first
from recovery.data.manifest import NO_REMEDY, DataManifest, from_document
from recovery.errors import DamagedCopy, NoUsableCopy
from recovery.node.signing import Kind
from recovery.s3.keys import DATA_ARCHIVE, MANIFEST
from recovery.s3.replicas import Replicas
from recovery.s3.sealing import Identities
from recovery.s3.site import Site

OBJECT = re.compile(r"(?P<owner>[^/]+)/(?P<name>data-(?P=owner)-(?P<time>\d{8}T\d{12}Z))")
"""The key of a copy below the folder, without its suffix."""
Read = tuple["DataCopy", DataManifest | DamagedCopy]


@dataclass(frozen=True)
class DataCopy(WithTime):
    """One copy, identified by the key of its archive."""

    key: str
    owner: str
    """The name that the data had in the settings."""
    taken: datetime
    sites: tuple[str, ...] = field(default=(), compare=False)
    """The sites that have all of it: main, second."""
    written: datetime | None = field(default=None, compare=False)
    """When S3 stored its manifest."""

    @property
    def manifest_key(self) -> str:
        """The key of its manifest."""
        return self.key.removesuffix(DATA_ARCHIVE) + MANIFEST

    @property
    def name(self) -> str:
        """The name that operators use."""
        return self.key.rsplit("/", 1)[-1].removesuffix(DATA_ARCHIVE)


class DataCatalog:
    """The data copies of a cluster, newest first, as listed once at the start. Those whose node's clock was
    ahead come last.

    With requorum:backup.asOf they are listed and read as they were then. Raises: StoreError, also if no copy was found
    and a site did not answer.
    """

    def __init__(self, cluster: Cluster, *, hasty: bool = False) -> None:
        settings = cluster.settings
        self.store = (cluster.hasty if hasty else cluster.store).anew()
        self.operators = cluster.operators
        self.prefix = settings.keys.data
        self._identity_file = settings.backup.identity_file
        self._then = self.store.then
        self._places = self._then.listed(self.prefix)
        self._replicas = Replicas("requorum data take", NO_REMEDY)
        found = newest_first(self._listed())
        self.copies = tuple(copy for copy in found if copy.manifest_key in self._places)
        self.halves = tuple(
            replace(copy, written=max(found.written for found in self._places[copy.key].values()))
            for copy in found
            if copy.manifest_key not in self._places
        )
        """Archives without a manifest: uploads under way, or interrupted ones. Their `written` is when S3 stored the archive."""
        if self._then.fault and not self.copies:
            raise self._then.fault

    @cached_property
    def identities(self) -> Identities:
        """The identities that open the copies. Raises: SettingError."""
        return Identities(self._identity_file, setting="backup.identityFile")

    def of(self, owner: str) -> tuple[DataCopy, ...]:
        """The copies of one data, newest first."""
        return tuple(copy for copy in self.copies if copy.owner == owner)

    def newest_of_each(self) -> tuple[DataCopy, ...]:
        """The newest copy of each data, by name."""
        return tuple(self.of(owner)[0] for owner in sorted({copy.owner for copy in self.copies}))

    def named(self, name: str) -> DataCopy:
        """The copy of that name, which may be short (`naming.find`). Raises: NoUsableCopy."""
        doing, why = f"looking for data copy {name}", "S3 has no data copy of that name"
        missing = NoUsableCopy(doing, why, remedy="requorum data list", code="no-such-copy")
        return naming.find(self.copies, name, missing)

    def manifest(self, copy: DataCopy) -> DataManifest:
        """The copy's manifest. Raises: StoreError; DamagedCopy, also if it was removed since the listing; UnreadCopy if the
        only site that has it has fallen silent since."""
        held = self._then.looks(copy.manifest_key, listed=self._places.get(copy.manifest_key, ()))
        return self._replicas.first_good(copy.name, "manifest", held, lambda text: self._made(copy, text))

    def counts(self, copy: DataCopy) -> bool:
        """Whether a copy is restored without being named: unless its manifest can be read, and no operator signed it. Raises: StoreError."""
        try:
            return not self.manifest(copy).unsigned
        except DamagedCopy:
            return True  # the restore tells of the fault

    def manifests(self) -> list[Read]:
        """Every copy with its manifest, or with its fault, newest first. Its `sites` are those at which the archive has the
        length that the manifest names. Raises: StoreError.
        """
        with ThreadPoolExecutor(max_workers=16) as pool:
            return list(pool.map(self._read, self.copies))

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about the sites from which copies were read."""
        return (*self.store.notes, *self._replicas.notes)

    def download(self, copy: DataCopy, sealed: Path, check: Callable[[Path], None]) -> None:
        """Download the copy's object from the first site whose object passes the check.

        Raises: as the check; UnreadCopy as `manifest`; StoreError.
        """
        held = self._then.downloads(copy.key, sealed, listed=self._places.get(copy.key, ()))
        self._replicas.first_good(copy.name, "archive", held, check)

    def add(self, manifest: DataManifest, sealed: Path) -> DataCopy:
        """Store a copy at every site: the sealed archive first, its manifest last.

        If the second site fails, the copy is still valid. Its `sites` lack that site, and the store's notes say why.
        Raises: StoreError, SettingError.
        """
        stamp = manifest.taken.astimezone(UTC).strftime(TIME)
        key = f"{self.prefix}{manifest.name}/data-{manifest.name}-{stamp}{DATA_ARCHIVE}"
        copy = DataCopy(key, manifest.name, manifest.taken)
        signed = self.operators.sign(Kind.DATA, copy.manifest_key, manifest.to_document())

        def write(site: Site) -> None:
            site.upload(sealed, copy.key)
            site.keep(copy.manifest_key, signed)

        return replace(copy, sites=self.store.everywhere(write))

    def _listed(self) -> Iterator[DataCopy]:
        """Every archive whose name has our form."""
        for key, sites in self._places.items():
            if copy := at(key, self.prefix):
                beside = self._places.get(copy.manifest_key, {})
                held = tuple(site for site in sites if site in beside)
                yield replace(copy, sites=held, written=min((found.written for found in beside.values()), default=None))

    def _made(self, copy: DataCopy, text: bytes) -> DataManifest:
        """The manifest in a copy's object. Raises: DamagedCopy."""
        read = self.operators.read(Kind.DATA, copy.manifest_key, text)
        found = from_document(read.document, source=copy.name, unsigned=read.fault)
        if found.name != copy.owner:
            why = f"its manifest belongs to a copy of {found.name}"
            raise DamagedCopy(f"reading {copy.name}", why, remedy=NO_REMEDY, code="copy-damaged")
        return found

    def _read(self, copy: DataCopy) -> Read:
        try:
            manifest = self.manifest(copy)
            whole = self._replicas.whole(copy.name, self._places[copy.key], manifest.size)
        except DamagedCopy as error:
            return replace(copy, sites=()), error
        return replace(copy, sites=tuple(site for site in copy.sites if site in whole)), manifest


def at(key: str, prefix: str) -> DataCopy | None:
    """The copy with that archive key below ``PREFIX/CLUSTER/data/``; None if the key does not have our form."""
    found = OBJECT.fullmatch(key.removeprefix(prefix).removesuffix(DATA_ARCHIVE))
    if not (found and key.startswith(prefix) and key.endswith(DATA_ARCHIVE)):
        return None
    try:
        return DataCopy(key, found["owner"], datetime.strptime(found["time"], TIME).replace(tzinfo=UTC))
    except ValueError:
        return None
