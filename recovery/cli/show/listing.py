"""The parts that lists of copies share, of managers and of service data, as tables or as JSON."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from rich.markup import escape
from rich.table import Table

from recovery.copies.copy import Copy
from recovery.copies.retention import Kept
from recovery.data.catalog import DataCopy
from recovery.errors import DamagedCopy
from recovery.spans import span

MANAGER, DATA = "manager", "data"
"""The key of a copy's owner in JSON of the contract."""
C = TypeVar("C", Copy, DataCopy)
M = TypeVar("M")


def table(names: Iterable[str], headings: Iterable[str]) -> Table:
    """An empty table whose first column holds names of copies, which are never wrapped."""
    made = Table(box=None)
    made.add_column("copy", no_wrap=True, min_width=max(map(len, names), default=0))
    for heading in headings:
        made.add_column(heading)
    return made


def copies_table(
    copies: Sequence[tuple[C, M | DamagedCopy]],
    headings: Sequence[str],
    cells: Callable[[C, M | DamagedCopy], Sequence[str]],
    now: datetime,
    *,
    sites: bool,
) -> Table:
    """The copies as a table, newest first, with the ``cells`` of each. With ``sites``, it shows where they are stored."""
    made = table((copy.name for copy, _ in copies), ("age", *headings, *(("sites",) if sites else ())))
    for copy, manifest in copies:
        age = span(int((now - copy.dated).total_seconds())) + (" [yellow](clock ahead)[/]" if copy.ahead else "")
        where = (" and ".join(copy.sites),) if sites else ()
        made.add_row(copy.name, age, *cells(copy, manifest), *where)
    return made


def fault(error: DamagedCopy) -> str:
    """The cell that says what is wrong with a copy."""
    return f"[red]{escape(error.why)}[/]"


def copy_identity(copy: Kept, owner: str) -> dict[str, Any]:
    """Which copy it is, as JSON of the contract. ``owner`` is `MANAGER` or `DATA`."""
    return {"name": copy.name, "key": copy.key, owner: copy.owner, "taken": copy.taken.isoformat()}


def copy_json(
    copy: C, manifest: M | DamagedCopy, owner: str, facts: Callable[[M], Mapping[str, Any]]
) -> dict[str, Any]:
    """A copy with the ``facts`` of its manifest, or with its fault, as JSON of the contract."""
    common = {**copy_identity(copy, owner), "clock": copy.clock or None, "sites": list(copy.sites)}
    if isinstance(manifest, DamagedCopy):
        return {**common, "error": manifest.why, "errorCode": manifest.code}
    return {**common, "error": None, "errorCode": None, **facts(manifest)}
