"""Pieces of Markdown: text that stays text, and a cut at a forge's limit that leaves nothing open."""

import re
from collections.abc import Iterable

from recovery import plain as filtered

SPECIAL = re.compile(r"([\\`*_\[\]|~])")
FENCE = re.compile(r"`{3,}")
OPEN, CLOSE = "<details>", "</details>"
ZERO_WIDTH = "\u200b"


def marker(stack: str, purpose: str = "preview") -> str:
    """The hidden first line of a text, by which the next job finds it again."""
    return f"<!-- requorum:{purpose}:{re.sub(r'[^A-Za-z0-9._-]', '_', stack)} -->"


def plain(text: str) -> str:
    """The text as it is: no link, no picture, no HTML, and nobody is mentioned."""
    shown = SPECIAL.sub(r"\\\1", filtered.line(text).replace("&", "&amp;").replace("<", "&lt;"))
    return shown.replace("@", f"@{ZERO_WIDTH}")


def code(text: str) -> str:
    """The text as a piece of code within a line."""
    return f"`{filtered.line(text).replace('`', '')}`"


def fenced(lines: Iterable[str], language: str = "text") -> list[str]:
    """The lines as a block of code. Its fence is longer than any in the lines."""
    content = [part for line in lines for part in filtered.plain(line).split("\n")]
    longest = max((len(found) for line in content for found in FENCE.findall(line)), default=2)
    fence = "`" * (longest + 1)
    return [f"{fence}{language}", *content, fence]


def folded(summary: str, lines: Iterable[str]) -> list[str]:
    """The lines behind a summary that opens them."""
    return [OPEN, f"<summary>{plain(summary)}</summary>", "", *lines, "", CLOSE]


def cut(text: str, limit: int, note: str) -> str:
    """The text in at most ``limit`` bytes. If it is longer, whole lines are left out at its end, and ``note`` says so.

    Blocks that are open there are closed, so that the note is read as text.
    """
    if len(text.encode()) <= limit:
        return text
    kept: list[str] = []
    size, fence, depth = 0, "", 0
    end = ""
    for line in text.split("\n"):
        fence, depth = _open(line, fence, depth)
        closing = "\n".join(("", *([fence] if fence else ()), *([CLOSE] * depth), "", note))
        size += len(line.encode()) + 1
        if size + len(closing.encode()) > limit:
            break
        kept.append(line)
        end = closing
    return "\n".join(kept) + end


def _open(line: str, fence: str, depth: int) -> tuple[str, int]:
    """The fence that is open after the line, and how many folds."""
    found = FENCE.match(line)
    if fence:
        return ("" if line == fence else fence), depth
    if found:
        return found[0], depth
    return "", depth + (line == OPEN) - (line == CLOSE)
