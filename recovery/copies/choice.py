"""Chooses the copy that a recovery reads: the newest one that is good."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recovery.copies import contents
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Choice, Copy, Rejected
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import WITH_INVENTORY, Manifest
from recovery.errors import DamagedCopy, NoUnlockKey, SettingError, StoreError, UnopenedCopy, UnreadCopy
from recovery.swarm.key_file import UnlockKey, unlock

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

    Each candidate is read completely and compared with its manifest before it is chosen. ``cluster_id``, if known,
    excludes copies of another swarm. ``cas`` are the digests of the CA that is trusted. They exclude copies that
    none of the swarm's managers made. ``whole`` asks for a copy that a swarm can be restored from, not only a manager's
    identity. Then proven copies come first, and those that failed their restore test last. A copy of an autolocked
    swarm is good if a key in escrow opens it. ``choice`` is the name of the only candidate, or a time: later copies are
    no candidates.

    Raises: StoreError, also if a better copy is unread; SettingError if no identity is there, or opens an unlock key.
    """
    rejected: dict[Copy, Rejected] = {}
    unopened: SettingError | None = None
    candidates = _Candidates(catalog, managers, choice)
    for copy in catalog.by_trust(candidates) if whole else candidates:
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
            rejected = {**(_newer(catalog, candidates.since(copy)) if whole else {}), **rejected}
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
    """The newest copy with an inventory, if it is newer than the chosen one. It may not be good."""
    return newest({copy: manifest for copy, manifest in copies.items() if copy.dated > choice.copy.dated})


def newest(copies: Mapping[Copy, Manifest]) -> Choice | None:
    """The newest copy with an inventory. It may not be good."""
    listed = [copy for copy, manifest in copies.items() if manifest.kind in WITH_INVENTORY]
    found = max(listed, key=lambda copy: copy.dated, default=None)
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
    """The copies of the managers that the operator's choice allows, newest first. They are read as far as somebody iterates."""

    catalog: Catalog
    managers: Collection[str]
    choice: str | datetime | None

    def __iter__(self) -> Iterator[Copy]:
        return self._mine(self.catalog.copies)

    def since(self, chosen: Copy) -> Iterator[Copy]:
        """Those that are newer than the chosen one, or claim to be."""
        return self._mine([copy for copy in self.catalog.copies if copy.taken > chosen.taken])

    def _mine(self, copies: Iterable[Copy]) -> Iterator[Copy]:
        return self.catalog.of_managers(self.managers, [copy for copy in copies if self._allows(copy)])

    def _allows(self, copy: Copy) -> bool:
        if isinstance(self.choice, str):
            return copy.name == self.choice
        return self.choice is None or copy.dated <= self.choice


def _newer(catalog: Catalog, copies: Iterable[Copy]) -> dict[Copy, Rejected]:
    """Why copies that are newer than the chosen one, or claim to be, were not chosen."""
    found: dict[Copy, Rejected] = {}
    for copy, manifest in catalog.reading(copies):
        if isinstance(manifest, DamagedCopy):
            found[copy] = Rejected(copy, manifest.why, manifest.code)
        elif copy.ahead:
            found[copy] = Rejected(copy, copy.clock)
        elif manifest.kind in WITH_INVENTORY:
            detail = f" ({manifest.proof.detail})" if manifest.proof and manifest.proof.detail else ""
            found[copy] = Rejected(copy, f"it is newer, but its restore test says: {manifest.verdict}{detail}")
    return found
