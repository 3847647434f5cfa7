"""Text that somebody else wrote, as it may be shown.

Host names, keys in S3, words of other operators and the output of commands reach terminals, logs, pages and notifications.
They must not move a cursor, hide a line, turn text around, become markup or command the runner of a job. The edges that show text filter it here, once.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]"
)
"""Sequences for a terminal (ECMA-48): control sequences, commands to the system, and short ones."""
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co"})
"""Categories of characters that show nothing: controls, formats (also those that turn text around), half and private ones."""
BREAKS = frozenset({"Zl", "Zp"})
COMMAND = re.compile(r"^(?P<indent>[^\S\n]*):(?=:[A-Za-z][\w-]*(?:[^\S\n][^\n]*)?::)|##(?=\[)", re.M)
"""What a runner of GitHub or Gitea takes for a command: `::name …::` at the beginning of a line, and `##[name]` anywhere in it."""
MARKDOWN = re.compile(r"[\\`*\[\]<>|]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown may read as markup within a line."""


def plain(text: str) -> str:
    """The text without what is no text. Its line feeds stay, and a space is in what a runner would take for a command."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_shown, ESCAPES.sub("", text)))
    return COMMAND.sub(r"\g<0> ", text) if "::" in text or "##[" in text else text


def line(text: str) -> str:
    """The text on one line."""
    return " ".join(plain(text).split())


def in_markdown(value: Any) -> Any:
    """A document in which every text is plain, on one line, and nothing but text in a page in Markdown."""
    if isinstance(value, str):
        return MARKDOWN.sub(r"\\\g<0>", line(value))
    if isinstance(value, Mapping):
        return {key: in_markdown(one) for key, one in value.items()}
    return [in_markdown(one) for one in value] if isinstance(value, list) else value


def _shown(character: str) -> str:
    if character == "\n":
        return character
    category = unicodedata.category(character)
    return (
        ""
        if category in HIDDEN and character != "\t"
        else " "
        if character == "\t" or category in BREAKS
        else character
    )
