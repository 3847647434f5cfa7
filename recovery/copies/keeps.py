"""Marks that keep a copy whatever the rules say: an object ``….keep.json`` beside it at every site, with the reason.

An operator signs a mark. Without a valid signature, or if it cannot be read, it keeps its copy anyway: to keep does no harm.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.node.signing import Kind, Signed
from recovery.swarm import records


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
    """Every mark that was listed, by the copy that it keeps. Raises: StoreError."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        texts = pool.map(lambda copy: catalog.store.then.look(copy.keep_key), catalog.marked)
        return {
            copy: from_document(catalog.operators.read(Kind.KEEP, copy.keep_key, found or b""))
            for copy, found in zip(catalog.marked, texts, strict=True)
        }
