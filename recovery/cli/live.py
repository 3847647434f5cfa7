"""A status that stays on the screen: it looks again and again, and marks what changed. Elsewhere it prints a line for each change."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from threading import Thread
from time import monotonic

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment

from recovery.cli.console import out
from recovery.cli.interrupt import rest
from recovery.cli.progress import progress
from recovery.cli.screen import styled
from recovery.cli.show import cluster as show
from recovery.cli.show.changed import Change, changes
from recovery.spans import span

Look = Callable[[], show.Status]
MARKED = 60.0
"""Seconds for which a change is marked."""
KEPT = 8
"""The changes that stay on the screen."""
TICK = 0.5
"""Seconds between two drawings."""
FEWEST = 2
"""The fewest rows of nodes that a small window shows."""


@dataclass
class Board:
    """What a terminal shows of a watched cluster, in any window."""

    status: show.Status
    every: float
    looked: float
    changes: tuple[tuple[float, Change], ...] = ()
    """The last changes, newest first, with the moment of the look that found each."""

    def add(self, now: show.Status, at: float) -> None:
        """Take another look in."""
        new = tuple((at, change) for change in changes(self.status, now))
        self.status, self.looked, self.changes = now, at, (*new, *self.changes)[:KEPT]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """All of it, or what fits: nodes that are well are left out first, then what is neither state nor next command."""
        height, nodes = max(2, console.size.height), len(self.status.nodes)
        lines = console.render_lines(self._drawn(nodes), options, pad=False)
        if len(lines) > height:
            most = max(FEWEST, nodes - (len(lines) - height) - 1)
            lines = console.render_lines(self._drawn(most), options, pad=False)
        if len(lines) > height:
            lines = [lines[0], *lines[-(height - 1) :]]
        for number, line in enumerate(lines):
            yield from line
            if number < len(lines) - 1:
                yield Segment.line()

    def _drawn(self, most: int) -> RenderableType:
        now = monotonic()
        marked = frozenset(change.node for at, change in self.changes if now - at < MARKED)
        said = [styled(change.line, "bold" if now - at < MARKED else "dim") for at, change in self.changes]
        age = styled(f"looked {span(now - self.looked)} ago, every {self.every:g} s. Ctrl-C ends this", "dim")
        table = show.as_table(self.status, marked=marked, most=most)
        state, *rest = table.renderables
        return Group(state, age, *said, *rest)


def watch(look: Look, every: float, *, as_json: bool = False) -> show.Status | None:
    """Look until Ctrl-C; the last status, None if there was none."""
    live = out.is_terminal and not out.is_dumb_terminal and not as_json
    last = None
    try:
        for now in _lived(look, every) if live else _printed(look, every, as_json=as_json):
            last = now
    except KeyboardInterrupt:
        pass
    if live and last:
        out.print(show.as_table(last))
    return last


def _printed(look: Look, every: float, *, as_json: bool) -> Iterator[show.Status]:
    """Print the first look, and then what changes, a line each; as JSON, a document in a line for each look."""
    before = None
    for now in _looks(look, every):
        yield now
        if as_json:
            print(json.dumps(show.as_json(now)), flush=True)
        elif before is None:
            out.print(show.as_table(now))
        else:
            for change in changes(before, now):
                out.print(change.line, soft_wrap=True)
        out.file.flush()
        before = now


def _lived(look: Look, every: float) -> Iterator[show.Status]:
    """Show each look in the same place, on a screen of its own, which the end gives back."""
    looks = _looks(look, every)
    with progress("asking the nodes and S3"):
        first = next(looks)
    board = Board(first, every, monotonic())
    yield first
    with Live(
        board, console=out, screen=True, refresh_per_second=1 / TICK, redirect_stdout=False, redirect_stderr=False
    ):
        for now in looks:
            board.add(now, monotonic())
            yield now


def _looks(look: Look, every: float) -> Iterator[show.Status]:
    """A look in every so many seconds, or as often as it can be done. Ctrl-C does not wait for one."""
    while True:
        begun, looking = monotonic(), _begun(look)
        yield _awaited(looking)
        while (left := begun + every - monotonic()) > 0:
            rest(min(left, TICK))


def _begun(look: Look) -> "Future[show.Status]":
    """A look on a thread of its own, for which the end of the program does not wait."""
    looking: Future[show.Status] = Future()

    def run() -> None:
        try:
            looking.set_result(look())
        except BaseException as error:
            looking.set_exception(error)

    Thread(target=run, daemon=True).start()
    return looking


def _awaited(looking: "Future[show.Status]") -> show.Status:
    while not wait((looking,), timeout=TICK).done:
        continue
    return looking.result()
