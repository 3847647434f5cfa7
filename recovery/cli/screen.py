"""The terminal, which shows text of others as text.

No string is markup: what has a style is a `rich.text.Text`. Every character passes the filter of `recovery.plain`.
"""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from recovery.plain import plain

Cell = str | Text
"""What a cell of a table or a line shows."""


class Screen(Console):
    """A console that shows nothing but text, however it came into a table, a page or an error."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """The parts of what is shown, without what is no text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


def styled(text: str, style: str) -> Text:
    """A text in a style."""
    return Text(text, style)
