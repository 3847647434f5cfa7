"""The command line as a program: its name, its version, completion."""

import os
import subprocess
import tomllib
from pathlib import Path

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


def test_the_version_is_the_project_s() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert shell("requorum --version") == f"requorum {project['version']}\n"


def test_a_switch_is_described_and_has_no_opposite() -> None:
    shown = shell("requorum policy --help")
    assert "Print the policy of the second site." in shown
    assert "--no-second" not in shown


def test_doctor_names_its_exit_statuses() -> None:
    shown = " ".join(shell("requorum doctor --help").split())
    assert "Exit status: 0 if every node is healthy, 1 error, 3 degraded, 4 quorum lost." in shown


def test_a_shell_completes_commands() -> None:
    complete = 'COMP_WORDS=(requorum stat); COMP_CWORD=1; _requorum_completion requorum; echo "${COMPREPLY[@]}"'
    assert shell(f'eval "$(requorum --show-completion)"; {complete}') == "status\n"
