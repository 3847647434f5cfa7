"""The parts that lists of copies share, of managers and of service data, as tables or as JSON."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from rich.console import Group
from rich.table import Table
from rich.text import Text

from recovery.cli.screen import Cell, styled
from recovery.copies import naming
from recovery.copies.copy import Copy
from recovery.copies.retention import Kept
from recovery.data.catalog import DataCopy
from recovery.errors import DamagedCopy, UnreadCopy
from recovery.spans import span

MANAGER, DATA = "manager", "data"
"""The key of a copy's owner in JSON of the contract."""
SITES: Mapping[tuple[str, ...], str] = {("main",): "main", ("second",): "second", ("main", "second"): "both"}
"""The cell that says where a copy is stored."""
C = TypeVar("C", Copy, DataCopy)
M = TypeVar("M")


def table(owner: str, headings: Iterable[str], *, wide: bool = False) -> Table:
    """An empty table of copies, which holds at 80 columns. Only owners and the last column are wrapped.

    Its first columns are those of `which`. A ``wide`` one ends with the whole names.
    """
    made = Table(box=None, pad_edge=False)
    made.add_column(owner, overflow="fold")
    *middle, last = ("taken (UTC)", *headings)
    for heading in middle:
        made.add_column(heading, no_wrap=True)
    made.add_column(last, no_wrap=wide)
    if wide:
        made.add_column("name", no_wrap=True)
    return made


def which(copy: Kept) -> tuple[str, str]:
    """The cells that say which copy it is, as `naming.find` understands them."""
    return copy.owner, f"{copy.taken:%Y-%m-%d %H:%M}"


def copies_table(
    copies: Sequence[tuple[C, M | DamagedCopy]],
    owner: str,
    headings: Sequence[str],
    cells: Callable[[C, M | DamagedCopy], Sequence[Cell]],
    now: datetime,
    *,
    sites: bool,
    wide: bool,
) -> Group:
    """The copies as a table, newest first, with the ``cells`` of each, and below it what is wrong with some.

    With ``sites``, it shows where they are stored.
    """
    made = table(owner, ("age", *(("sites",) if sites else ()), *headings), wide=wide)
    for copy, manifest in copies:
        where = (SITES.get(copy.sites) or "none",) if sites else ()
        name = (copy.name,) if wide else ()
        made.add_row(*which(copy), span(int((now - copy.dated).total_seconds())), *where, *cells(copy, manifest), *name)
    faults = (styled(f"{naming.short(copy)}: {m.why}", "red") for copy, m in copies if isinstance(m, DamagedCopy))
    clocks = (styled(f"{naming.short(copy)}: {copy.clock}", "yellow") for copy, _ in copies if copy.clock)
    return Group(made, *faults, *clocks)


def at_fault(error: DamagedCopy) -> Text:
    """What the table says of a copy that cannot be read."""
    return styled("unread", "yellow") if isinstance(error, UnreadCopy) else styled("damaged", "red")


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
