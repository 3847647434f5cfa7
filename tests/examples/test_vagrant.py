"""What the example of Vagrant says of machines: by Vagrant's own words."""

import os
import subprocess
from pathlib import Path

import pytest

from recovery.survey.presence import WORDS
from tests.examples.declared import EXAMPLES


def presence(folder: Path, said: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
    """What the command prints if Vagrant prints this."""
    vagrant = folder / "vagrant"
    vagrant.write_text(f"#!/bin/sh\nprintf '%s' '{said}'\nexit {status}\n")
    vagrant.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    argv = [str(EXAMPLES / "vagrant" / "presence"), "manager-a"]
    return subprocess.run(argv, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("running", "running"),
        ("poweroff", "stopped"),
        ("saved", "stopped"),
        ("aborted", "stopped"),
        ("not_created", "gone"),
        ("inaccessible", "unknown"),
    ],
)
def test_vagrant_s_states_are_told_in_requorum_s_words(tmp_path: Path, state: str, word: str) -> None:
    said = (
        f"1,manager-a,metadata,provider,virtualbox\n1,manager-a,provider-name,virtualbox\n1,manager-a,state,{state}\n"
    )
    done = presence(tmp_path, said)
    assert (done.returncode, done.stdout.strip()) == (0, word)
    assert word in WORDS


def test_vagrant_that_fails_says_nothing(tmp_path: Path) -> None:
    assert presence(tmp_path, "", 1).stdout.strip() in ("", "unknown")
