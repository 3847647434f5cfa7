"""Chooses the copy that a recovery reads: the newest one that is good."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import Path

from recovery.copies import contents
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Choice, Copy, Rejected
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import WITH_INVENTORY, Manifest
from recovery.copies.order import Committed, by_trust, furthest, furthest_first, is_later
from recovery.errors import DamagedCopy, NoUnlockKey, SettingError, StoreError, UnopenedCopy, UnreadCopy
from recovery.swarm.key_file import UnlockKey, unlock

ReadCopy = tuple[Copy, Manifest | DamagedCopy]
"""A copy with its manifest, or with its fault."""
NO_SOURCE = "whose manifest does not list what the swarm held. Requorum restores no swarm from it"


@dataclass(frozen=True)
class Search:
    """The result of a search for a good copy: the choice, its archive and unlock key, and why others were passed over."""

    choice: Choice | None
    rejected: tuple[Rejected, ...]
    archive: Path | None = None
    key: UnlockKey | None = None


@contextmanager
def usable(catalog: Catalog, escrow: Escrow, copy: Copy) -> Iterator[tuple[Manifest, Path, UnlockKey | None]]:
    """The manifest of a good copy, its archive, and the unlock key that it needs. The archive exists within the context.

    Raises: StoreError; DamagedCopy; NoUnlockKey; SettingError if no identity opens the copy or the key.
    """
    with catalog.verified(copy) as (manifest, archive):
        key = None
        if manifest.autolock:
            content = contents.read(archive, source=copy.name, damaged=True)
            key = escrow.opening(content.key, whose=copy.name)
            contents.require_own_key(content, unlock(content.key, key), source=copy.name)
        yield manifest, archive, key


@contextmanager
def newest_good(
    catalog: Catalog,
    escrow: Escrow,
    managers: Collection[str],
    cluster_id: str | None,
    cas: frozenset[str] = frozenset(),
    *,
    whole: bool = True,
    choice: str | datetime | None = None,
) -> Iterator[Search]:
    """The newest good copy of any of the managers, under whatever names they were copied. Its archive exists within the context.

    Each candidate is read completely and compared with its manifest before it is chosen. If times are too close together to say
    which one is newer, the one that is committed furthest comes first. ``cluster_id``, if known, excludes copies of another swarm.
    ``cas`` are the digests of the CA that is trusted. They exclude copies that none of the swarm's managers made. ``whole`` asks
    for a copy that a swarm can be restored from, not only a manager's identity. Then proven copies come first, and those that
    failed their restore test last. A copy of an autolocked swarm is good if a key in escrow opens it. ``choice`` is the name of
    the only candidate, or a time: later copies are no candidates.

    Raises: StoreError, also if a better copy is unread; SettingError if no identity is there, or opens an unlock key.
    """
    rejected: dict[Copy, Rejected] = {}
    unopened: SettingError | None = None
    candidates = _Candidates(catalog, managers, choice, cluster_id, cas)
    for copy in by_trust(candidates.furthest_first()) if whole else candidates.newest_first():
        with ExitStack() as opened:
            try:
                manifest = catalog.manifest(copy)
                if whole and manifest.kind not in WITH_INVENTORY:
                    if isinstance(choice, str):
                        rejected[copy] = Rejected(copy, f"it is a {manifest.kind} copy, {NO_SOURCE}")
                    continue
                if why := _why_unsigned(manifest) or why_foreign(manifest, cluster_id, cas):
                    rejected[copy] = Rejected(copy, why)
                    continue
                manifest, archive, unlock_key = opened.enter_context(usable(catalog, escrow, copy))
            except (DamagedCopy, NoUnlockKey) as error:
                rejected[copy] = _rejected(catalog, copy, error, whole=whole)
                continue
            except SettingError as error:
                if error.code != "wrong-identity":
                    raise
                rejected[copy], unopened = Rejected(copy, error.why, error.code), unopened or error
                continue
            rejected = {**(_newer(candidates.before(copy)) if whole else {}), **rejected}
            yield Search(Choice(copy, manifest, catalog.owner(copy)), tuple(rejected.values()), archive, unlock_key)
            return
    if unopened:
        raise unopened
    yield Search(None, tuple(rejected.values()))


def _rejected(catalog: Catalog, copy: Copy, error: DamagedCopy | NoUnlockKey, *, whole: bool) -> Rejected:
    """Why a copy is passed over. Raises: StoreError for an unread one if a swarm is to be restored: it may be the best."""
    if whole and isinstance(error, UnreadCopy):
        remedy = (
            f"{error.remedy}, then run the same command again. Or look at the plan of another copy: "
            "pulumi preview --config copy=COPY"
        )
        raise StoreError(error.doing, error.why, remedy=remedy, code=error.code)
    if not isinstance(error, UnopenedCopy):
        return Rejected(copy, error.why, error.code)
    recipients = catalog.manifest(copy).recipients
    return Rejected(copy, f"{error.why}. It is sealed to {', '.join(recipients)}", error.code, recipients)


def newest_after(choice: Choice, copies: Mapping[Copy, Manifest]) -> Choice | None:
    """The newest copy with an inventory, if it is newer than the chosen one, or may be newer and is committed further. It may
    not be good.
    """

    def is_newer(copy: Copy, manifest: Manifest) -> bool:
        further = manifest.position.committed > choice.manifest.position.committed
        return is_later(copy, choice.copy) or (further and not is_later(choice.copy, copy))

    return newest({copy: manifest for copy, manifest in copies.items() if is_newer(copy, manifest)})


def newest(copies: Mapping[Copy, Manifest]) -> Choice | None:
    """Of the copies with an inventory that may be the newest, the one that is committed furthest. It may not be good."""
    found = furthest({copy: manifest for copy, manifest in copies.items() if manifest.kind in WITH_INVENTORY})
    return Choice(found, copies[found]) if found else None


def _why_unsigned(manifest: Manifest) -> str:
    return "" if manifest.signature else "no manager signed it. Requorum puts no file of such a copy on a node"


def why_foreign(manifest: Manifest, cluster_id: str | None, cas: frozenset[str]) -> str:
    """Why a copy does not belong to this swarm; empty if nothing shows that."""
    if cluster_id and manifest.cluster_id != cluster_id:
        return f"it is a copy of another swarm ({manifest.cluster_id})"
    if cas and manifest.ca_sha256 not in cas:
        return f"its CA is not the swarm's. If the CA was rotated since, add {manifest.ca_sha256} to requorum:caSha256"
    return ""


@dataclass(frozen=True)
class _Candidates:
    """The copies of the managers that the operator's choice allows, with their manifests. They are read as far as somebody iterates."""

    catalog: Catalog
    managers: Collection[str]
    choice: str | datetime | None
    cluster_id: str | None
    cas: frozenset[str]

    def newest_first(self) -> Iterator[Copy]:
        """The candidates by their times."""
        return (copy for copy, _ in self._read())

    def furthest_first(self) -> Iterator[ReadCopy]:
        """The candidates by their times, and by how far they are committed where their times are close together."""
        return furthest_first(self._read(), self._committed)

    def before(self, chosen: Copy) -> Iterator[ReadCopy]:
        """Those that are newer than the chosen one, or claim to be."""
        yield from takewhile(lambda read: read[0] != chosen, self.furthest_first())
        claims = [copy for copy in self._allowed() if copy.ahead and copy.taken > chosen.taken]
        yield from self.catalog.of_managers(self.managers, claims)

    def _read(self) -> Iterator[ReadCopy]:
        return self.catalog.of_managers(self.managers, self._allowed())

    def _allowed(self) -> Iterator[Copy]:
        return (copy for copy in self.catalog.copies if self._allows(copy))

    def _allows(self, copy: Copy) -> bool:
        if isinstance(self.choice, str):
            return copy.name == self.choice
        return self.choice is None or copy.dated <= self.choice

    def _committed(self, read: Manifest | DamagedCopy) -> Committed | None:
        """How far a copy of this swarm is committed. A copy of another one says nothing."""
        if isinstance(read, DamagedCopy) or read.kind not in WITH_INVENTORY:
            return None
        return None if why_foreign(read, self.cluster_id, self.cas) else read.position.committed


def _newer(read: Iterable[ReadCopy]) -> dict[Copy, Rejected]:
    """Why copies that are newer than the chosen one, or claim to be, were not chosen."""
    found: dict[Copy, Rejected] = {}
    for copy, manifest in read:
        if isinstance(manifest, DamagedCopy):
            found[copy] = Rejected(copy, manifest.why, manifest.code)
        elif copy.ahead:
            found[copy] = Rejected(copy, copy.clock)
        elif manifest.kind in WITH_INVENTORY:
            detail = f" ({manifest.proof.detail})" if manifest.proof and manifest.proof.detail else ""
            found[copy] = Rejected(copy, f"it is newer, but its restore test says: {manifest.verdict}{detail}")
    return found
