"""Chooses the copy that a recovery reads: the newest one that is good."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recovery.copies import contents
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Choice, Copy
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import WITH_INVENTORY, Manifest
from recovery.errors import DamagedCopy, NoUnlockKey
from recovery.swarm.key_file import UnlockKey


@dataclass(frozen=True)
class Search:
    """What a search for a good copy came to: the choice, its archive and what opens it, and why others were passed over."""

    choice: Choice | None
    rejected: tuple[str, ...]
    archive: Path | None = None
    key: UnlockKey | None = None


@contextmanager
def usable(catalog: Catalog, escrow: Escrow, copy: Copy) -> Iterator[tuple[Manifest, Path, UnlockKey | None]]:
    """A good copy's manifest, its archive, which is there for as long as the context is, and the unlock key that it needs.

    Raises: StoreError; DamagedCopy; NoUnlockKey; SettingError when there is no identity to open the copy or the key.
    """
    with catalog.verified(copy) as (manifest, archive):
        locked = contents.key_file(archive, source=copy.name) if manifest.autolock else None
        yield manifest, archive, escrow.opening(locked, whose=copy.name) if locked else None


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
    """The newest good copy of any of the managers; its archive is there for as long as the context is.

    Each candidate is read whole and compared with its manifest before it is chosen. ``cluster_id``,
    where known, keeps copies of another swarm out, and ``cas``, the digests of the CA that its living nodes know, those
    that somebody else than one of its managers made. ``whole`` asks for one that a swarm can be restored
    from, and not only a manager's identity: then proven ones come before all others, and those that failed their
    proof last. One of an autolocked swarm counts when a key in escrow opens it. ``choice`` is the name of the only one
    that is looked at, then whatever its CA is, which may have been rotated; or the time that it must not be younger than.

    Raises: StoreError; SettingError when there is no identity to open a copy, or an unlock key that it needs.
    """
    rejected: dict[Copy, str] = {}
    candidates = [copy for copy in catalog.copies if copy.manager in managers]
    if isinstance(choice, str):
        candidates = [copy for copy in candidates if copy.name == choice]
    elif choice:
        candidates = [copy for copy in candidates if copy.dated <= choice]
    for copy in catalog.by_trust(candidates) if whole else candidates:
        with ExitStack() as opened:
            try:
                manifest = catalog.manifest(copy)
                if whole and manifest.kind not in WITH_INVENTORY:
                    if isinstance(choice, str):
                        rejected[copy] = (
                            f"a {manifest.kind} copy: what the swarm held is not known, so none is restored from it"
                        )
                    continue
                if why := why_foreign(manifest, cluster_id, frozenset() if isinstance(choice, str) else cas):
                    rejected[copy] = why
                    continue
                manifest, archive, unlock_key = opened.enter_context(usable(catalog, escrow, copy))
            except (DamagedCopy, NoUnlockKey) as error:
                rejected[copy] = error.why
                continue
            rejected = {**(_newer(catalog, candidates, copy) if whole else {}), **rejected}
            told = tuple(f"{passed.name}: {why}" for passed, why in rejected.items())
            yield Search(Choice(copy, manifest), told, archive, unlock_key)
            return
    yield Search(None, tuple(f"{passed.name}: {why}" for passed, why in rejected.items()))


def newest_after(choice: Choice, copies: Mapping[Copy, Manifest]) -> Choice | None:
    """The newest of the copies that list what the swarm held, where it is newer than the one that was chosen; it may not be good."""
    newer = [copy for copy, m in copies.items() if m.kind in WITH_INVENTORY and copy.dated > choice.copy.dated]
    newest = max(newer, key=lambda copy: copy.dated, default=None)
    return Choice(newest, copies[newest]) if newest else None


def why_foreign(manifest: Manifest, cluster_id: str | None, cas: frozenset[str]) -> str:
    """Why a copy is not one of our swarm; empty where nothing says so."""
    if cluster_id and manifest.cluster_id != cluster_id:
        return f"a copy of another swarm ({manifest.cluster_id})"
    if cas and manifest.ca_sha256 not in cas:
        return "its CA is not the swarm's; where that was rotated since, name the copy in requorum:copy"
    return ""


def _newer(catalog: Catalog, candidates: Iterable[Copy], chosen: Copy) -> dict[Copy, str]:
    """Why copies that are newer than the chosen one, or say so, come after it."""
    found = {}
    for copy, manifest in catalog.reading([copy for copy in candidates if copy.taken > chosen.taken]):
        if isinstance(manifest, DamagedCopy):
            found[copy] = manifest.why
        elif copy.ahead:
            found[copy] = copy.clock
        elif manifest.kind in WITH_INVENTORY:
            detail = f" ({manifest.proof.detail})" if manifest.proof and manifest.proof.detail else ""
            found[copy] = f"newer, and its proof is: {manifest.verdict}{detail}"
    return found
