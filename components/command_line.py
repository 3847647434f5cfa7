"""The operator's command: the arguments of the `pulumi` process that runs this program or provider."""

import argparse
import os
import re
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import TypeVar

import psutil

from recovery.settings import PROJECT
from recovery.settings.project import Project, project_of

T = TypeVar("T")
COMMANDS = frozenset({"up", "update", "preview", "pre"})
"""The commands that make one plan, with all their names. `pulumi watch` makes another plan at every change of a file."""
DESTROY = frozenset({"destroy", "down", "dn"})
"""The command that deletes resources, with all its names."""
FLAG = re.compile(rf"({PROJECT}:(config:)?)?recover=(?i:true)")
TERMINALS = ("/dev/pts/", "/dev/tty")
STDIN, STDOUT = 0, 1
FILE_OPTIONS = (("-s", "--stack"), ("-C", "--cwd"), ("--config-file",))
"""The options that say where the stack file is."""
WITH_VALUE = (*FILE_OPTIONS, ("-m", "--message"), ("-p", "--parallel"))
"""Options of each command whose value could be the name of a command."""
OF_SOME = (("-t", "--target"), ("--exclude",))
"""The options that limit a command to some resources."""


NO_REFRESH = re.compile(r"(-r|--refresh)=(0|f|F|false|FALSE|False)")
"""The option with which Pulumi does not ask what became of its resources, as its parser accepts it."""


class Deletion(Enum):
    """Why Pulumi deletes a resource."""

    CHANGE = "the program no longer has it, or another one takes its place"
    PART = "`pulumi destroy` of some resources"
    WHOLE = "`pulumi destroy` of the whole stack"


def consent_is_typed() -> bool:
    """Whether a person typed `--config recover=true` for this update or preview.

    Requorum assumes a person under the same conditions as Pulumi (its `cmdutil.Interactive`): standard input and output are
    a terminal, and CI is not set. If the command line is not readable, as on a system without /proc, nobody typed the flag.
    """
    if os.environ.get("CI"):
        return False
    return _of_pulumi(lambda pulumi: _at_terminal(pulumi.pid) and gives_consent(pulumi.cmdline()[1:]), False)


def deletion() -> Deletion:
    """Why the running `pulumi` deletes resources. An unreadable command line counts as a change, which ends no swarm."""
    return _of_pulumi(lambda pulumi: deletion_by(pulumi.cmdline()[1:]), Deletion.CHANGE)


def refreshes() -> bool:
    """Whether the running `pulumi` first asks what became of its resources. The project says so, and an option may differ."""
    return _of_pulumi(lambda pulumi: not any(map(NO_REFRESH.fullmatch, pulumi.cmdline()[1:])), True)


def project() -> Project | None:
    """The project of the running `pulumi`."""
    return _of_pulumi(lambda pulumi: project_of(Path(pulumi.cwd())), None)


def stack_file() -> Path | None:
    """The stack file that the running `pulumi` uses; None if that cannot be told, as with a stack that was selected before."""
    return _of_pulumi(lambda pulumi: stack_file_by(pulumi.cmdline()[1:], Path(pulumi.cwd())), None)


def stack_file_by(arguments: Sequence[str], folder: Path) -> Path | None:
    """The stack file that these arguments of `pulumi` name, which is now in that folder: with `--cwd`, it has already gone there."""
    parser = _parser()
    for option in WITH_VALUE:
        parser.add_argument(*option, default="")
    try:
        known, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return None
    if known.config_file:
        return folder / str(known.config_file)
    stack = (str(known.stack) or os.environ.get("PULUMI_STACK", "")).rpartition("/")[2]
    of = project_of(folder)
    return of.stack_file(stack) if stack and of else None


def deletion_by(arguments: Sequence[str]) -> Deletion:
    """Why these arguments of `pulumi` delete resources."""
    parser = _parser()
    for option in (*WITH_VALUE, *OF_SOME):
        parser.add_argument(*option, action="append", default=[])
    parser.add_argument("--exclude-protected", action="store_true")
    try:
        known, others = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return Deletion.CHANGE
    if not others or DESTROY.isdisjoint(others) or not COMMANDS.isdisjoint(others):
        return Deletion.CHANGE
    return Deletion.PART if known.target or known.exclude or known.exclude_protected else Deletion.WHOLE


def gives_consent(arguments: Sequence[str]) -> bool:
    """Whether these arguments of `pulumi` set the flag for one update or preview, and let Pulumi ask a person."""
    parser = _parser()
    parser.add_argument("-c", "--config", action="append", default=[])
    for switch in (("-y", "--yes"), ("-f", "--skip-preview"), ("--non-interactive",)):
        parser.add_argument(*switch, action="store_true")
    try:
        known, others = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return False
    return not known.non_interactive and not COMMANDS.isdisjoint(others) and any(map(FLAG.fullmatch, known.config))


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)


def _of_pulumi(read: Callable[[psutil.Process], T], otherwise: T) -> T:
    """What ``read`` finds at the nearest `pulumi` process above this one; ``otherwise`` if there is none, or it is unreadable."""
    try:
        for process in psutil.Process().parents():
            if Path(process.exe()).name == "pulumi":
                return read(process)
    except (psutil.Error, OSError):
        pass
    return otherwise


def _at_terminal(pid: int) -> bool:
    streams = (Path(f"/proc/{pid}/fd/{stream}") for stream in (STDIN, STDOUT))
    return all(str(stream.readlink()).startswith(TERMINALS) for stream in streams)
