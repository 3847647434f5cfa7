"""The command line as a program: its name, its version, completion."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]


def shell(script: str) -> str:
    """What a shell prints that has `requorum` on its PATH."""
    environment = {**os.environ, "PATH": f"{PROJECT / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_help_names_the_program_as_it_is_called() -> None:
    shown = shell("requorum --help")
    assert "Usage: requorum [OPTIONS] COMMAND" in shown
    assert "python" not in shown


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_that_is_not_utf_8_shows_what_it_can(encoding: str) -> None:
    assert "SHA256:?" in shell(f"COLUMNS=200 PYTHONIOENCODING={encoding} requorum init --help")


def test_the_version_is_the_project_s() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert shell("requorum --version") == f"requorum {project['version']}\n"


def test_a_switch_is_described_and_has_no_opposite() -> None:
    shown = shell("requorum policy --help")
    assert "--second" in shown
    assert "Print the policy of the" in shown
    assert "--no-second" not in shown


def test_doctor_names_its_exit_statuses() -> None:
    shown = " ".join(shell("requorum doctor --help").split())
    assert (
        "Exit status as of status: 0 fine, 1 error, 3 something is wrong, 4 quorum lost, 5 not seen from here." in shown
    )


COMPLETED = [
    ("stat", "status"),
    ("cop", "copies"),
    ("copies ver", "verify"),
    ("data p", "prune"),
    ("-s lab copies ta", "take"),
    ("copies list --wi", "--wide"),
    ("backups --wi", "--wide"),
]


@pytest.mark.parametrize(("typed", "completed"), COMPLETED)
def test_a_shell_completes_commands(typed: str, completed: str) -> None:
    last = len(typed.split())
    complete = (
        f'COMP_WORDS=(requorum {typed}); COMP_CWORD={last}; _requorum_completion requorum; echo "${{COMPREPLY[@]}}"'
    )
    assert shell(f'eval "$(requorum --show-completion)"; {complete}') == f"{completed}\n"


LIBRARIES = ("boto3", "asyncssh", "docker", "apprise", "prometheus_client", "pydantic")
ACTING = ("recovery.operations.assess", "recovery.steps.unlock", "recovery.steps.run")
"""What only a command needs that changes the cluster, or that prepares a change."""


def loaded_by(*words: str) -> set[str]:
    """Which of the libraries, and of what acts, a command loads."""
    program = (
        "import atexit, json, sys\n"
        f"atexit.register(lambda: print(json.dumps([name for name in {LIBRARIES + ACTING!r} if name in sys.modules])))\n"
        f"sys.argv = ['requorum', *{words!r}]\n"
        "import recovery.__main__\nrecovery.__main__.run()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("words", [("--help",), ("--version",)], ids=" ".join)
def test_what_runs_no_command_loads_no_library_of_one(words: tuple[str, ...]) -> None:
    assert loaded_by(*words) == set()


def test_a_command_loads_what_it_needs() -> None:
    """No node answers here, so no engine is asked."""
    assert loaded_by("status") == {"boto3", "asyncssh", "pydantic"}
    assert loaded_by("plan") > {"recovery.operations.assess"}
