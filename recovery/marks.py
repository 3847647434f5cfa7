"""Marks that keep a copy whatever the rules say: an object ``….keep.json`` beside it at every site, with the reason."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime

from recovery import journal, operators
from recovery.catalog import Catalog
from recovery.copy import Copy
from recovery.errors import NoUsableCopy
from recovery.settings import Settings


@dataclass(frozen=True)
class Mark:
    """Why a copy is kept, who said so (user@host), and when (UTC; None where the mark cannot be read)."""

    reason: str
    who: str
    when: datetime | None

    @property
    def text(self) -> str:
        """As tables show it."""
        return f"{self.reason} ({self.who})" if self.who else self.reason

    def to_json(self) -> bytes:
        """The mark as it is stored."""
        return json.dumps({**asdict(self), "when": self.when.isoformat() if self.when else None}, indent=1).encode()


def from_json(text: bytes) -> Mark:
    """A stored mark. One that cannot be read is a mark all the same, and says so."""
    try:
        document = json.loads(text)
        return Mark(str(document["reason"]), str(document["who"]), datetime.fromisoformat(document["when"]))
    except (ValueError, TypeError, KeyError):
        return Mark("the mark cannot be read", "", None)


def read(catalog: Catalog) -> dict[Copy, Mark]:
    """Every mark that was listed, by the copy that it keeps. Raises: StoreError."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        texts = pool.map(lambda copy: catalog.store.then.look(copy.mark_key), catalog.marked)
        return {copy: from_json(found or b"") for copy, found in zip(catalog.marked, texts, strict=True)}


def keep(settings: Settings, name: str, reason: str, *, now: datetime, say: Callable[[str], None]) -> Mark:
    """Mark the copy of that name at every site; a mark that it has is replaced. No prune runs meanwhile.

    A site that does not take the mark is told.

    Raises: NoUsableCopy when there is no such copy; Refused when another holds the lease; StoreError.
    """
    with operators.alone(settings, "marking a copy", say=say):
        catalog = Catalog(settings)
        copy, mark = catalog.named(name), Mark(reason, journal.operator(), now)
        catalog.store.everywhere(lambda site: site.put(copy.mark_key, mark.to_json()))
    for note in catalog.store.notes:
        say(note)
    return mark


def release(settings: Settings, name: str) -> None:
    """Take the mark of that name back at every site, also where its copy is gone.

    Raises: NoUsableCopy when there is none; Refused where a site is left out; StoreError.
    """
    catalog = Catalog(settings)
    catalog.store.require_whole(f"releasing {name}")
    copy = next((copy for copy in catalog.marked if copy.name == name), None)
    if copy is None:
        raise NoUsableCopy(f"releasing {name}", "no copy of that name is marked", remedy="requorum backups")
    for site in catalog.store.sites:
        catalog.store.ask(site, lambda at: at.delete(copy.mark_key))
