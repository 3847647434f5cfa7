"""The copies of one cluster in S3: the list, the state of each, and the best one to restore from."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from threading import RLock
from types import MappingProxyType

from recovery.copies import contents, drilled, layout, naming, owners
from recovery.copies.copy import Copy, at, newest_first, of
from recovery.copies.makers import of_a_known
from recovery.copies.manifest import (
    NO_REMEDY,
    Manifest,
    Proof,
    Verdict,
    claimed,
    from_json,
)
from recovery.copies.owners import Owners
from recovery.copies.storing import store
from recovery.copies.workspace import workspace
from recovery.errors import DamagedCopy, NoUsableCopy, UnopenedCopy
from recovery.node.signing import Operators
from recovery.s3.keys import ARCHIVE, KEEP, MANIFEST
from recovery.s3.replicas import Replicas
from recovery.s3.sealing import Identities, Unreadable, at_hand
from recovery.s3.store import Store
from recovery.settings import Settings

BATCH = 16
"""How many manifests are read in parallel."""

NOBODY: Mapping[str, Collection[str]] = MappingProxyType({})
"""No node told which managers it knows."""


class Catalog:
    """The copies of the settings' cluster, newest first, as listed once at the start. Those whose node's clock was
    ahead come last: they would stay the newest for ever.

    With requorum:backup.asOf they are listed and read as they were then. Raises: StoreError, also if no copy was found
    and a site did not answer: it may have copies.
    """

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self.store = (store or Store(settings.backup.sites)).anew()
        self.operators = Operators(settings.ssh, settings.operators)
        self.prefix = settings.keys.root
        self._then = self.store.then
        self._identity_file = settings.backup.identity_file
        self._nodes = settings.nodes
        self._managers = sorted(manager.name for manager in settings.managers)
        self._manifests: dict[Copy, Manifest] = {}
        self._reads: dict[Copy, AbstractContextManager[bool]] = {}
        """A lock for each manifest that is or was read."""
        self.cas = frozenset(settings.ca_sha256)
        """The digests of the swarm's CA; empty if nobody has told them."""
        self._made_by: Mapping[str, Collection[str]] = NOBODY
        self._certificates: dict[str, str] = {}
        """The certificates of the CAs that manifests have, by digest."""
        self._lengths: dict[Copy, int] = {}
        """How many bytes each manifest has."""
        self._unsigned: dict[str, str] = {}
        """The copies with the result of a drill that does not count, by name, and why."""
        self._replicas = Replicas("requorum copies take", NO_REMEDY)
        self._places = self._then.listed(self.prefix)
        layout.require_known(self._places, settings.keys, self._then.look)
        self.copies = newest_first(copy for copy in self._ending(MANIFEST) if copy.key in self._places)
        self.marked = newest_first(self._ending(KEEP))
        if self._then.fault and not self.copies:
            raise self._then.fault

    def trust(self, cas: Collection[str], managers: Mapping[str, Collection[str]] = NOBODY) -> None:
        """Take these for the digests of the swarm's CA, if the settings name none. Copies under another CA are strange.

        ``managers`` are the node IDs that living nodes know, by address. A copy that another node made there is not proven.
        """
        self._made_by = managers
        if not self.cas:
            self.cas = frozenset(cas)
            for read_before in ("owners", "names"):
                self.__dict__.pop(read_before, None)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key below the cluster's folder, as it was listed: also those that belong to no copy."""
        return tuple(self._places)

    def sites_of(self, key: str) -> tuple[str, ...]:
        """The sites that list an object."""
        return tuple(self._places.get(key, ()))

    @property
    def halves(self) -> tuple[Copy, ...]:
        """Archives with names of ours but without a manifest, newest first: uploads under way, or interrupted ones."""
        alone = (
            replace(copy, written=max(found.written for found in self._places[copy.key].values()))
            for copy in self._ending(ARCHIVE)
            if copy.manifest_key not in self._places
        )
        return newest_first(copy for copy in alone if copy.named_by_us)

    def manifest(self, copy: Copy) -> Manifest:
        """The copy's manifest, from the first site that has it undamaged. After a drill, the drill's proof replaces its own.
        The result of a drill that no operator signed does not count.

        The archive is not read: the manifest is valid even if the archive is damaged.
        Raises: StoreError; DamagedCopy, also if it was removed since the listing; UnreadCopy if its only site is silent since.
        """
        with self._reads.setdefault(copy, RLock()):  # another thread may be reading it
            if copy not in self._manifests:
                self._read_from_site(copy)
        found = claimed(copy.name, self._manifests[copy], self._certificates)
        found = replace(found, strange=bool(self.cas) and found.ca_sha256 not in self.cas)
        known = self._made_by.get(found.address, ())
        return of_a_known(found, known, f"living nodes know the manager at {found.address}")

    def _read_from_site(self, copy: Copy) -> None:
        held = self._then.looks(copy.manifest_key, listed=self.sites_of(copy.manifest_key))
        made, self._lengths[copy] = self._replicas.first_good(
            copy.name, "manifest", held, lambda text: self._made(copy, text)
        )
        self._manifests[copy] = replace(made, proof=self._proof(copy, made))
        if made.ca:
            self._certificates[made.ca_sha256] = made.ca

    def drilled(self, copy: Copy) -> datetime | None:
        """When the last drill of a copy was that reached a verdict. Its manifest has been read before."""
        made = self._manifests.get(copy)
        counts = copy.drill_key in self._places and copy.name not in self._unsigned
        proof = made.proof if made and counts else None
        return proof.at if proof and proof.verdict is not Verdict.UNPROVEN else None

    def manifests(self) -> list[tuple[Copy, Manifest | DamagedCopy]]:
        """Every copy with its manifest, or with its fault, newest first. Its `sites` are those at which archive and manifest
        have the lengths that the manifest names. Raises: StoreError.

        A manifest without the certificate of its CA may claim any. If another one has the certificate, the claim is checked.
        """
        list(self.reading(self.copies))  # then the certificate of each CA has been read, if any manifest has it
        return list(self.reading(self.copies))

    def reading(self, copies: Iterable[Copy]) -> Iterator[tuple[Copy, Manifest | DamagedCopy]]:
        """The given copies with their manifests, as in `manifests`. It reads `BATCH` at a time, only as far as the caller
        iterates. Raises: StoreError.
        """
        with ThreadPoolExecutor(max_workers=BATCH) as pool:
            left = iter(copies)
            while batch := tuple(islice(left, BATCH)):
                yield from pool.map(self._read, batch)

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about sites, drills, and the clocks of the settings' managers."""
        unsigned = [f"the drill of {name} does not count: {fault}" for name, fault in sorted(self._unsigned.items())]
        return (*self.store.notes, *self._replicas.notes, *self._clocks(), *unsigned)

    @property
    def unopened(self) -> tuple[str, ...]:
        """A warning if no identity here opens the newest copies of the settings' managers. Raises: StoreError."""
        read = self.newest_manifests()
        newest = {name: read[copy] for name, copy in self.newest_by_manager().items() if copy in read}
        closed = {name: manifest for name, manifest in newest.items() if self.opens(manifest) is False}
        if not closed:
            return ()
        recipients = dict.fromkeys(one for manifest in closed.values() for one in manifest.recipients)
        return (
            f"no identity in requorum:backup.identityFile opens the newest copy of {', '.join(closed)}. "
            f"It is sealed to {', '.join(recipients)}. "
            "next: name an identity that opens it, or correct requorum:backup.recipients, then: requorum copies take",
        )

    @property
    def skipped(self) -> dict[str, str]:
        """The sites that the listing or a later read skipped, and why."""
        return {**self.store.skipped, **self._then.skipped}

    def opens(self, manifest: Manifest) -> bool | None:
        """Whether an available identity is one of the copy's recipients; None without an identity. Raises: SettingError."""
        if not at_hand(self._identity_file):
            return None
        return bool(self.identities.recipients.intersection(manifest.recipients))

    def _under(self, *names: str) -> list[Copy]:
        """The copies that were taken under any of these names of managers, newest first."""
        return [copy for copy in self.copies if copy.manager in names]

    def _clocks(self) -> Iterator[str]:
        for name in self._managers:
            if (last := max(self._under(name), key=lambda copy: copy.dated, default=None)) and last.ahead:
                yield f"Requorum treats the last copy of {name} as the oldest: {last.clock}"

    def newest(self, manager: str) -> Copy | None:
        """The newest copy that was taken under one manager's name."""
        return next(iter(self._under(manager)), None)

    @cached_property
    def owners(self) -> Owners:
        """Whose copies are whose, as the newest copies tell. Raises: StoreError."""
        newest = self.newest_of_machines
        return owners.known(self._nodes, (newest[copy] for copy in sorted(newest, key=lambda copy: copy.dated)))

    def owner(self, copy: Copy) -> str:
        """The name of the manager whose copy it is: the name that the settings give it now, if they have it. Raises: StoreError."""
        manifest = self._try_manifest(copy)
        return copy.manager if isinstance(manifest, DamagedCopy) else self.owners.of(manifest)

    def of_managers(
        self, names: Collection[str], copies: Iterable[Copy]
    ) -> Iterator[tuple[Copy, Manifest | DamagedCopy]]:
        """Those of the copies that are of the managers of these names, as `reading` reads them. Raises: StoreError."""
        return (read for read in self.reading(copies) if self.owner(read[0]) in names)

    @cached_property
    def names(self) -> Mapping[str, Collection[str]]:
        """The names under which copies of each manager of the settings are, as the newest copies tell, by the name that the
        manager has now. Copies that another machine left under one of them are there too. Raises: StoreError.
        """
        owned = {(copy.manager, self.owners.of(manifest)) for copy, manifest in self.newest_of_machines.items()}
        read = {name for name, _ in owned}
        return {
            manager: sorted({name for name, owner in owned if owner == manager} | ({manager} - read))
            for manager in self._managers
        }

    def of(self, manager: str) -> list[Copy]:
        """The copies under all `names` of a manager, newest first. Raises: StoreError."""
        return self._under(*self.names[manager])

    def newest_by_manager(self) -> dict[str, Copy]:
        """The newest copy of each manager of the settings, by its name: a strange one only if it has no other. Raises: StoreError."""
        every = {name: copies for name in self._managers if (copies := self.of(name))}
        return {name: next((c for c in copies if not self._is_strange(c)), copies[0]) for name, copies in every.items()}

    def newest_of_each(self) -> tuple[Copy, ...]:
        """The newest copy of each manager of the settings, by manager's name. Raises: StoreError."""
        return tuple(self.newest_by_manager().values())

    def newest_manifests(self) -> dict[Copy, Manifest]:
        """The newest copy under each name that a manager ever had, with its manifest. Those whose manifest cannot be read,
        and strange ones, hide no copy that is older.

        Raises: StoreError.
        """

        def newest(name: str) -> tuple[Copy, Manifest] | None:
            for copy in self._under(name):
                manifest = self._try_manifest(copy)
                if isinstance(manifest, Manifest) and not manifest.strange:
                    return copy, manifest
            return None

        with ThreadPoolExecutor(max_workers=BATCH) as pool:
            return dict(filter(None, pool.map(newest, sorted({copy.manager for copy in self.copies}))))

    @property
    def several_cas(self) -> bool:
        """Whether the newest copies, or any that were read, are under different CAs. Raises: StoreError."""
        self.newest_manifests()
        return len({manifest.ca_sha256 for manifest in self._manifests.values()}) > 1

    @cached_property
    def newest_of_machines(self) -> dict[Copy, Manifest]:
        """The `newest_manifests`, and each manager's newest copy from its address, if a machine that was given the manager's
        name has a newer one under it. Such a machine has copies under two names. Raises: StoreError."""
        newest = self.newest_manifests()
        names = Counter(manifest.address for manifest in newest.values())
        left = {str(node.address) for node in self._nodes if node.name in self._managers} - names.keys()
        shared = [copy.manager for copy, manifest in newest.items() if names[manifest.address] > 1]
        for copy, manifest in self.reading(self._under(*shared) if left else ()):
            if isinstance(manifest, Manifest) and not manifest.strange and manifest.address in left:
                newest[copy], left = manifest, left - {manifest.address}
            if not left:
                break
        return newest

    def named(self, name: str) -> Copy:
        """The copy of that name, which may be short (`naming.find`). Raises: NoUsableCopy, StoreError."""
        doing, why = f"looking for copy {name}", "S3 has no copy of that name"
        missing = NoUsableCopy(doing, why, remedy="requorum copies list", code="no-such-copy")
        known = self.names if name.partition("@")[0] in self._managers else {}
        return naming.find(self.copies, name, missing, known)

    @contextmanager
    def verified(self, copy: Copy) -> Iterator[tuple[Manifest, Path]]:
        """The copy's manifest, and its archive as a local file: opened, read completely and compared with the manifest. It
        comes from the first site that has it undamaged.

        Raises: StoreError; DamagedCopy; UnreadCopy; LocalError; SettingError if no identity is available.
        """
        manifest = self.manifest(copy)
        with workspace() as folder:
            sealed = folder / "copy"
            held = self._then.downloads(copy.key, sealed, listed=self.sites_of(copy.key))
            check = partial(manifest.check_sealed, source=copy.name)
            self._replicas.first_good(copy.name, "archive", held, check)
            yield manifest, self.opened(copy, manifest, sealed)

    def opened(self, copy: Copy, manifest: Manifest, sealed: Path) -> Path:
        """The archive out of a copy's object, next to the local file ``sealed``, compared with the manifest.

        Raises: as `verified`; UnopenedCopy if the object is undamaged and no identity opens it.
        """
        doing, plain = f"verifying {copy.name}", sealed.with_suffix(".tar.zst")
        manifest.check_sealed(sealed, source=copy.name)
        try:
            self.identities.unseal_file(sealed, plain)
        except Unreadable as error:
            remedy = "set requorum:backup.identityFile to the identity of one of its recipients"
            raise UnopenedCopy(doing, str(error), remedy=remedy, code="wrong-identity") from None
        contents.check(plain, manifest, source=copy.name)
        return plain

    @cached_property
    def identities(self) -> Identities:
        """The identities that open the copies. Raises: SettingError."""
        return Identities(self._identity_file, setting="backup.identityFile")

    def first(self, manager: str) -> Copy | None:
        """The oldest copy under the `names` of a manager. Raises: StoreError."""
        return next(reversed(self.of(manager)), None)

    def add(self, manifest: Manifest, sealed: Path) -> Copy:
        """Store a copy at every site: the sealed archive first, its manifest last.

        If the second site fails, the copy is still valid. Its `sites` lack that site, and the store's notes say why.
        Raises: StoreError.
        """
        return store(self.store, self.prefix, manifest, sealed)

    def _ending(self, suffix: str) -> Iterator[Copy]:
        """The copies that the keys with that suffix belong to. Keys in deeper folders are not copies of managers."""
        for key, sites in self._places.items():
            if key.endswith(suffix) and key.removeprefix(self.prefix).count("/") == 1:
                archive = key.removesuffix(suffix) + ARCHIVE
                manifests = self._places.get(archive.removesuffix(ARCHIVE) + MANIFEST, {})
                held = tuple(site for site in sites if site in self._places.get(archive, ()))
                copy = at(archive, held, min((found.written for found in manifests.values()), default=None))
                if copy:
                    yield copy

    def _proof(self, copy: Copy, made: Manifest) -> Proof | None:
        """The proof of the last drill, if the drill reached a verdict, otherwise the proof from when the copy was made."""
        if not (listed := self.sites_of(copy.drill_key)):
            return made.proof
        held = self._then.looks(copy.drill_key, listed, listed=listed)
        contents_ = self._replicas.each(copy.name, "drill's result", held)
        drill, fault = drilled.newest(self.operators, copy.drill_key, contents_)
        if fault:
            self._unsigned[copy.name] = fault
        return drill if drill and drill.verdict is not Verdict.UNPROVEN else made.proof

    def _read(self, copy: Copy) -> tuple[Copy, Manifest | DamagedCopy]:
        """One copy with its manifest, or with its fault, as in `manifests`."""
        try:
            manifest = self.manifest(copy)
            long = self._replicas.whole(copy.name, self._places[copy.key], manifest.size)
        except DamagedCopy as error:
            return replace(copy, sites=()), error
        manifests = self._places.get(copy.manifest_key, {})
        whole = (site for site in long if site in manifests and manifests[site].size == self._lengths[copy])
        return replace(copy, sites=tuple(whole)), manifest

    def _made(self, copy: Copy, text: bytes) -> tuple[Manifest, int]:
        """The manifest in a copy's object, and its length. Raises: DamagedCopy."""
        made = from_json(text, source=copy.name)
        if copy.key != of(made, self.prefix).key:
            why = f"its manifest belongs to another copy, of {made.manager}, taken at {made.taken.isoformat()}"
            raise DamagedCopy(f"reading {copy.name}", why, remedy=NO_REMEDY, code="copy-damaged")
        return made, len(text)

    def _is_strange(self, copy: Copy) -> bool:
        manifest = self._try_manifest(copy) if self.cas else None
        return isinstance(manifest, Manifest) and manifest.strange

    def _try_manifest(self, copy: Copy) -> Manifest | DamagedCopy:
        try:
            return self.manifest(copy)
        except DamagedCopy as error:
            return error
