"""Every page of the project: its links lead somewhere, and every command in it exists with these options."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from typer._click.exceptions import UsageError

from manual import site
from recovery.cli.commands import ALIASES, COMMANDS, NOUNS
from recovery.cli.tree import loaded
from tests.unit.cli.test_commands import parsed
from tests.unit.manual.pulumi import GLOBAL, PULUMI

PROJECT = site.ROOT
PAGES = [*site.pages(), *sorted((PROJECT / "pipelines").rglob("README.md"))]
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.M | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
PROGRAMS = ("requorum", "pulumi", "make")


def name(page: Path) -> str:
    return str(page.relative_to(PROJECT))


@cache
def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def typed(text: str) -> Iterator[list[str]]:
    """The commands of our programs in the lines that a person would type."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars=";|&<>")
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a text that is no command
            continue
        while words and re.fullmatch(r"(sudo|exec|[A-Z_]+=\S*)", words[0]):
            del words[0]
        end = next((place for place, word in enumerate(words) if set(word) <= set(";|&<>")), len(words))
        if words[:1] and words[0] in PROGRAMS:
            yield words[:end]


def blocks(page: Path) -> list[tuple[str, ...]]:
    """The commands in the blocks of code of a page."""
    return [
        tuple(words) for _, kind, text in FENCE.findall(page.read_text()) if kind in ("sh", "") for words in typed(text)
    ]


def spans(page: Path) -> list[tuple[str, ...]]:
    """The commands in the lines of text of a page."""
    found = SPAN.findall(FENCE.sub("", page.read_text()))
    return [tuple(words) for text in found for words in typed(text) if len(words) > 1]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_exists_with_these_options(page: Path) -> None:
    """A line of a block of code is parsed as a whole. A command in a text may be an outline."""
    faults = [fault(words, whole=True) for words in blocks(page)] + [fault(words, whole=False) for words in spans(page)]
    assert list(filter(None, faults)) == []


NO_COMMANDS = [
    "requorum statsu",
    "requorum copies take --colt",
    "pulumi upp",
    "pulumi up --recover",
    "make dosc",
    "requorum fence",
]


@pytest.mark.parametrize("line", NO_COMMANDS)
def test_what_does_not_exist_is_found(line: str) -> None:
    assert fault(tuple(line.split()), whole=True)
    assert fault(tuple(line.split()), whole=False) or line == "requorum fence"


@cache
def fault(words: tuple[str, ...], *, whole: bool) -> str:
    """What is wrong with a command, or nothing."""
    program, *rest = words
    of = {"make": of_make, "pulumi": of_pulumi, "requorum": of_requorum if whole else of_outline}
    wrong = of[program](rest)
    return f"{' '.join(words)}: {wrong}" if wrong else ""


def of_make(words: list[str]) -> str:
    targets = {".venv/bin/.ready", *re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.M)}
    asked = {word for word in words if not word.startswith("-") and "=" not in word}
    return f"no target {asked - targets}" if asked - targets else ""


def of_pulumi(words: list[str]) -> str:
    """The table is compared with the real program by tests/pipelines."""
    path = next((" ".join(words[:size]) for size in (2, 1) if " ".join(words[:size]) in PULUMI), None)
    if path is None:
        return "no such command"
    unknown = {word.partition("=")[0] for word in words if word.startswith("-")} - PULUMI[path] - GLOBAL
    return f"no option {unknown}" if unknown else ""


def of_requorum(words: list[str]) -> str:
    try:
        parsed(*(re.sub(r"[\[\]…]|\.\.\.", "", word) for word in words))
    except UsageError as error:
        return error.format_message()
    return ""


def of_outline(words: list[str]) -> str:
    """An outline has brackets, and may lack arguments: `requorum copies verify [COPY]`."""
    words = [word for word in words if word not in ("-h", "--help", "-s", "--stack", "--config-file", "--json")]
    size = 2 if words and words[0] in NOUNS else 1
    path = " ".join(words[:size])
    if path in ("COMMAND", "help", "--version", "--install-completion", "") or path in NOUNS:
        return ""
    path = ALIASES.get(path, path).split(" --")[0]
    if path not in COMMANDS:
        return "no such command"
    known = {option for one in loaded(path).params for option in (*one.opts, *one.secondary_opts)}
    given = {word.strip("[],.").partition("=")[0] for word in words[size:] if word.lstrip("[").startswith("-")}
    return f"no option {given - known - {'-'}}" if given - known - {"-"} else ""
