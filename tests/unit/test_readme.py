"""The first page: short, and for the worst hour first. `tests/unit/manual` has its commands and links."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text()
MOST_WORDS = 900
COMMAND = re.compile(r"(?:`|^)requorum ([a-z0-9]+)", re.M)


def commands(heading: str) -> list[str]:
    """The lines of the first code block with commands below a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return blocks[0].splitlines()


def test_it_is_short() -> None:
    assert len(README.split()) <= MOST_WORDS


def test_the_worst_hour_comes_first_and_begins_with_status() -> None:
    first, second, third = re.findall(r"^## (.*)$", README, re.M)[:3]
    assert (first, second, third) == ("Something is down?", "See it in six commands", "Your cluster")
    assert COMMAND.findall(README)[0] == "status"


def test_the_lab_is_six_commands() -> None:
    assert len(commands("See it in six commands")) == 6
