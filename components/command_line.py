"""What the operator typed: the command line of the `pulumi` process that runs this program."""

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

import psutil

from recovery.settings import PROJECT

COMMANDS = frozenset({"up", "update", "preview", "pre"})
"""The commands that make one plan, under each of their names. `pulumi watch` makes another at every change of a file."""
FLAG = re.compile(rf"({PROJECT}:(config:)?)?recover=(?i:true)")
TERMINALS = ("/dev/pts/", "/dev/tty")
STDIN, STDOUT = 0, 1


def consent_is_typed() -> bool:
    """Whether a person typed `--config recover=true` for this very update or preview.

    A person is there where Pulumi itself would ask one (its `cmdutil.Interactive`): standard input and output are a
    terminal, and CI is not set. What cannot be read, also on a system without /proc, is not typed.
    """
    if os.environ.get("CI"):
        return False
    try:
        for process in psutil.Process().parents():
            if Path(process.exe()).name == "pulumi":
                return _at_terminal(process.pid) and gives_consent(process.cmdline()[1:])
    except (psutil.Error, OSError):
        pass
    return False


def gives_consent(arguments: Sequence[str]) -> bool:
    """Whether these arguments of `pulumi` set the flag for one update or preview, and let Pulumi ask a person."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-c", "--config", action="append", default=[])
    for switch in (("-y", "--yes"), ("-f", "--skip-preview"), ("--non-interactive",)):
        parser.add_argument(*switch, action="store_true")
    try:
        known, others = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return False
    return not known.non_interactive and not COMMANDS.isdisjoint(others) and any(map(FLAG.fullmatch, known.config))


def _at_terminal(pid: int) -> bool:
    streams = (Path(f"/proc/{pid}/fd/{stream}") for stream in (STDIN, STDOUT))
    return all(str(stream.readlink()).startswith(TERMINALS) for stream in streams)
