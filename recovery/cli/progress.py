"""A bar or a counting line for what takes a while."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from recovery.cli import console

T = TypeVar("T")
SOON = 2.0
"""Seconds. What ends within them needs no line."""


@contextmanager
def progress(doing: str, total: int | None = None, *, as_json: bool = False) -> Iterator[Callable[[], None]]:
    """Show how far it is on standard error, if that is a terminal and the output is not JSON: a bar up to the ``total``.

    The function that is given moves the bar on by one. Without a ``total``, what lasts longer than `SOON` is shown in a
    line that counts the seconds. Nothing is asked meanwhile.
    """
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) if total is not None else (Seconds(),)
    shown = Progress(
        TextColumn("{task.description}", markup=False),
        *columns,
        console=console.err,
        transient=True,
        redirect_stdout=False,  # a program may read the standard output
        disable=as_json or not (sys.stderr.isatty() and console.err.is_interactive),
    )
    task = shown.add_task(doing, total=total)
    starting = Timer(SOON, shown.start)
    starting.daemon = True
    if total is None:
        starting.start()
    else:
        shown.start()
    try:
        yield lambda: shown.advance(task)
    finally:
        starting.cancel()
        if total is None:
            starting.join()
        shown.stop()


class Seconds(ProgressColumn):
    """The seconds since the start."""

    def render(self, task: Task) -> Text:
        """Whole seconds."""
        return Text(f"{task.elapsed or 0:.0f} s")


def counted(items: Iterable[T], done: Callable[[], None]) -> Iterator[T]:
    """The items; each moves the bar on by one."""
    for item in items:
        done()
        yield item
