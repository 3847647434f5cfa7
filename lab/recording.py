"""A recording of a terminal, and the picture of it: one SVG that plays by itself and loads nothing."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 100, 26
_CONSOLE = Console(width=COLUMNS, color_system="standard", force_terminal=True)
LONGEST, SHORTEST = 0.9, 0.04
"""Seconds of the picture from one line to the next, whatever they were in the run."""
READING, TYPED = 2.2, 0.6
"""Seconds that a reader has before the next command, and before its output begins."""
HOLD = 6.0
"""How long the end stays, before it begins again."""
LETTER, LINE, MARGIN = 8.0, 18, 16
INK, SOFT, PAGE = "#e6edf3", "#9da7b1", "#0d1117"
COLOURS: Mapping[str, str] = {
    "red": "#ff7b72", "green": "#7ee787", "yellow": "#e3b341", "blue": "#79c0ff", "magenta": "#d2a8ff", "cyan": "#76e3ea",
}  # fmt: skip
ANSI = ("", "red", "green", "yellow", "blue", "magenta", "cyan", "")
"""The colours of a terminal by their number. Black and white stay as the text is."""
ESCAPE = re.compile(r"\x1b\[[\d;?]*[a-ln-zA-Z]")
"""What moves the cursor or erases. Colours stay."""


@dataclass(frozen=True)
class Line:
    """A line of the terminal, and when it appeared in the run."""

    at: float
    text: Text
    typed: bool = False


def whole(line: str) -> str:
    """Every line as it is."""
    return line


@dataclass
class Recording:
    """What commands print to a terminal, in a folder."""

    environment: Mapping[str, str]
    folder: str
    lines: list[Line] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def run(self, command: Sequence[str], shown: Callable[[str], str] = whole) -> None:
        """Type a command and run it in a terminal. ``shown`` is what the picture has of a line; nothing for none of it."""
        self._keep(Text(f"$ {' '.join(command)}", style="bold"), typed=True)
        decoder, rest = AnsiDecoder(), ""
        for part in self._printed(command):
            *ended, rest = (rest + part).replace("\r\n", "\n").split("\n")
            for line in ended:
                if text := shown(ESCAPE.sub("", line.rpartition("\r")[2]).rstrip()):
                    self._keep(decoder.decode_line(text))

    def _printed(self, command: Sequence[str]) -> Iterator[str]:
        ours, theirs = pty.openpty()
        size = {"COLUMNS": str(COLUMNS), "LINES": str(ROWS), "TERM": "xterm-256color"}
        environment = {**os.environ, **self.environment, **size}
        with subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            while process.poll() is None or select.select([ours], [], [], 0)[0]:
                if select.select([ours], [], [], 0.1)[0]:
                    try:
                        part = os.read(ours, 65536)
                    except OSError:  # the other end is closed
                        break
                    yield part.decode(errors="replace")
        os.close(ours)

    def _keep(self, text: Text, *, typed: bool = False) -> None:
        for part in text.wrap(_CONSOLE, COLUMNS):
            part.rstrip()
            self.lines.append(Line(time.monotonic() - self.begun, part, typed))


def moments(lines: Sequence[Line]) -> list[float]:
    """When each line appears in the picture."""
    at, found = 0.0, list[float]()
    for place, line in enumerate(lines):
        before = lines[place - 1] if place else None
        if before is None:
            at = TYPED
        elif line.typed:
            at += READING
        elif before.typed:
            at += TYPED
        else:
            at += min(max(line.at - before.at, SHORTEST), LONGEST)
        found.append(at)
    return found


def picture(lines: Sequence[Line], title: str) -> str:
    """The recording as SVG. Who asks for less motion sees its end."""
    shown = moments(lines)
    whole_time = shown[-1] + HOLD
    last = max(0, len(lines) - ROWS)
    steps = [(at, max(0, place + 1 - ROWS)) for place, at in enumerate(shown)]
    scroll = "".join(f"{_share(at, whole_time)}{{transform:translateY({-row * LINE}px)}}" for at, row in steps if row)
    frames = [f"@keyframes s{{0%{{transform:none}}{scroll}100%{{transform:translateY({-last * LINE}px)}}}}"]
    body = []
    for place, (line, at) in enumerate(zip(lines, shown, strict=True)):
        begins = _share(at, whole_time)
        frames.append(f"@keyframes l{place}{{0%{{opacity:0}}{begins},100%{{opacity:1}}}}")
        style = f"animation:l{place} {whole_time:.1f}s step-end infinite"
        body.append(f'<text y="{place * LINE}" style="{style}">{_spans(line.text)}</text>')
    width, height = round(COLUMNS * LETTER) + 2 * MARGIN, ROWS * LINE + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">\n'
        f"<title>{escape(title)}</title>\n<style>text{{font:13.3px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
        f"fill:{INK};white-space:pre}}.b{{font-weight:700}}.d{{fill:{SOFT}}}"
        + "".join(f".{name}{{fill:{colour}}}" for name, colour in COLOURS.items())
        + f"#all{{animation:s {whole_time:.1f}s step-end infinite;transform:translateY({-last * LINE}px)}}"
        + "".join(frames)
        + "@media(prefers-reduced-motion:reduce){*{animation:none!important}}</style>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="{PAGE}"/>\n'
        f'<svg x="{MARGIN}" y="{MARGIN}" width="{width - 2 * MARGIN}" height="{ROWS * LINE}" overflow="hidden">'
        f'<g id="all"><g transform="translate(0 14)">\n' + "\n".join(body) + "\n</g></g></svg></svg>\n"
    )


def _share(at: float, of: float) -> str:
    return f"{100 * at / of:.2f}%"


def _spans(text: Text) -> str:
    """The text of a line, its parts with their colours."""
    made = []
    for part in text.render(_CONSOLE):
        style = part.style
        number = style.color.number if style and style.color else None
        colour = ANSI[number % 8] if number is not None and number < 16 else ""
        names = [colour] * (colour in COLOURS)
        names += ["b"] * bool(style and style.bold) + ["d"] * bool(style and style.dim)
        words = escape(part.text)
        made.append(f'<tspan class="{" ".join(names)}">{words}</tspan>' if names else words)
    return "".join(made)
