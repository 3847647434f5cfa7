"""A bar for commands that take a while."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from recovery.cli import console

T = TypeVar("T")


@contextmanager
def progress(doing: str, total: int | None, *, as_json: bool = False) -> Iterator[Callable[[], None]]:
    """Show a progress bar on standard error, if it is a terminal and the output is not JSON.

    The function that is given moves the bar on by one. Without a ``total``, the bar only shows the time.
    """
    counted = (BarColumn(), MofNCompleteColumn()) if total is not None else (BarColumn(),)
    with Progress(
        TextColumn("{task.description}", markup=False),
        *counted,
        TimeElapsedColumn(),
        console=console.err,
        transient=True,
        redirect_stdout=False,  # a program may read the standard output
        disable=as_json or not (sys.stderr.isatty() and console.err.is_interactive),
    ) as shown:
        task = shown.add_task(doing, total=total)
        yield lambda: shown.advance(task)


def counted(items: Iterable[T], done: Callable[[], None]) -> Iterator[T]:
    """The items; each moves the bar on by one."""
    for item in items:
        done()
        yield item
