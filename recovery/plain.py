"""Text that somebody else wrote, as it may be shown.

Host names, keys in S3, words of other operators and the output of commands reach terminals, logs, pages and notifications.
They must not move a cursor, hide a line, turn text around or become markup. The edges that show text filter it here, once.
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
MARKDOWN = re.compile(r"[\\`*\[\]<>|]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown may read as markup within a line."""


def plain(text: str) -> str:
    """The text without what is no text. Its line feeds stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, ESCAPES.sub("", text)))


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
