"""The first page: short, for the worst hour first, and with commands and links that exist."""

import re
from pathlib import Path

import pytest

from recovery.cli.commands import ALIASES, COMMANDS

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text()
MOST_WORDS = 900
PIPELINES = tuple(f"docs/{page.name}" for page in sorted((PROJECT / "docs").glob("pipelines*.md")))
PAGES = ("README.md", "docs/real-cluster.md", "docs/commands.md", *PIPELINES)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
COMMAND = re.compile(r"(?:`|^)requorum ([a-z0-9]+)", re.M)


def commands(heading: str) -> list[str]:
    """The lines of the first code block with commands below a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return blocks[0].splitlines()


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_it_is_short() -> None:
    assert len(README.split()) <= MOST_WORDS


def test_the_worst_hour_comes_first_and_begins_with_status() -> None:
    first, second, third = re.findall(r"^## (.*)$", README, re.M)[:3]
    assert (first, second, third) == ("Something is down?", "See it in six commands", "Your cluster")
    assert COMMAND.findall(README)[0] == "status"


def test_the_lab_is_six_commands() -> None:
    assert len(commands("See it in six commands")) == 6


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists(page: str) -> None:
    named = set(COMMAND.findall((PROJECT / page).read_text()))
    assert named - {name.split()[0] for name in (*COMMANDS, *ALIASES)} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    file = PROJECT / page
    for path, anchor in LINK.findall(file.read_text()):
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"
