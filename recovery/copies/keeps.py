"""Marks that keep a copy whatever the rules say: an object ``….keep.json`` beside it at every site, with the reason.

An operator signs a mark. Without a valid signature, or if it cannot be read, it keeps its copy anyway: to keep does no harm.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.node.signing import Kind, Signed
from recovery.swarm import records

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Keep:
    """Why a copy is kept, who said so (user@host), and when (UTC; None where the mark cannot be read)."""

    reason: str
    who: str
    when: datetime | None
    unsigned: str = ""
    """Why no operator's signature is valid on it; empty if one is."""

    @property
    def text(self) -> str:
        """As tables show it."""
        told = f"{self.reason} ({self.who})" if self.who else self.reason
        return f"{told}, unsigned" if self.unsigned else told

    def to_document(self) -> dict[str, str]:
        """The mark as it is stored."""
        assert self.when
        return {"reason": self.reason, "who": self.who, "when": self.when.isoformat()}


def from_document(read: Signed) -> Keep:
    """A stored mark. An unreadable mark still keeps its copy, and its reason says that it cannot be read."""
    document = read.document
    try:
        return records.typed(Keep, {**document, "unsigned": read.fault})
    except records.Unfit:
        return Keep("Requorum cannot read the mark", "", None, read.fault)


def read(catalog: Catalog) -> dict[Copy, Keep]:
    """Every mark that was listed, by the copy that it keeps: the newest at any site, and a signed one before all others.

    Raises: StoreError.
    """

    def one(copy: Copy) -> Keep:
        key = copy.keep_key
        texts = [content for _, content in catalog.store.then.looks(key, catalog.sites_of(key))]
        marks = [from_document(catalog.operators.read(Kind.KEEP, key, text)) for text in texts or [b""]]
        return max(marks, key=lambda mark: (not mark.unsigned, mark.when or NEVER))

    with ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(catalog.marked, pool.map(one, catalog.marked), strict=True))
