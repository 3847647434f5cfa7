"""Marks that keep a copy whatever the rules say: an object ``….keep.json`` beside it at every site, with the reason."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime

from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.swarm import records


@dataclass(frozen=True)
class Keep:
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


def from_json(text: bytes) -> Keep:
    """A stored mark. An unreadable mark still keeps its copy, and its reason says that it cannot be read."""
    try:
        return records.read(Keep, text)
    except records.Unfit:
        return Keep("Requorum cannot read the mark", "", None)


def read(catalog: Catalog) -> dict[Copy, Keep]:
    """Every mark that was listed, by the copy that it keeps. Raises: StoreError."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        texts = pool.map(lambda copy: catalog.store.then.look(copy.keep_key), catalog.marked)
        return {copy: from_json(found or b"") for copy, found in zip(catalog.marked, texts, strict=True)}
