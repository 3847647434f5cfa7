"""What pages type of Pulumi is what the program has."""

import re
import subprocess

import pytest

from tests.unit.manual.pulumi import GLOBAL, PULUMI


@pytest.mark.parametrize("path", PULUMI)
def test_the_table_of_the_pages_is_what_pulumi_has(path: str) -> None:
    help_of = subprocess.run(["pulumi", *path.split(), "--help"], capture_output=True, text=True, check=True)
    above = "".join(f"{word} " for word in path.split()[:-1])
    assert re.search(rf"Usage:\n +pulumi {above}[a-z]", help_of.stdout), "there is no such command"
    assert PULUMI[path] - set(re.findall(r"(?<!\w)--?[\w-]+", help_of.stdout)) == set()


def test_every_command_has_what_the_table_says_of_all() -> None:
    said = subprocess.run(["pulumi", "stack", "rm", "--help"], capture_output=True, text=True, check=True).stdout
    assert {one for one in GLOBAL if one not in re.findall(r"(?<!\w)--?[\w-]+", said)} == set()
