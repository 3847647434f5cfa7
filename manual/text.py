"""Words of the code as Markdown."""

import re
from collections.abc import Iterable, Sequence

MARKUP = re.compile(r"([<*_\[\]])")
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]+)")


def cell(text: str) -> str:
    """A text as a cell of a table: one line, and no markup by accident."""
    line = " ".join(text.replace("``", "`").split())
    parts = line.split("`")
    outside = (OPTION.sub(r"`\1`", MARKUP.sub(r"\\\1", part)) for part in parts[::2])
    inside = (f"`{part}`" for part in parts[1::2])
    return "".join(part for pair in _zipped(list(outside), list(inside)) for part in pair).replace("|", r"\|")


def _zipped(outside: Sequence[str], inside: Sequence[str]) -> Iterable[tuple[str, str]]:
    return zip(outside, [*inside, ""], strict=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    return [_row(head), "|" + "---|" * len(head), *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def sentence(text: str) -> str:
    """A text that ends as a sentence ends."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
