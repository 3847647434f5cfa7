"""Progress of an update on the operator's screen, and its end. All that the program shows goes through here, and is plain text."""

import sys
from typing import NoReturn

import pulumi

from recovery.errors import RequorumError, shown
from recovery.plain import plain

TOLD = 32
"""The exit status of a program that has shown its error. Pulumi adds no second error to it (its language host for Python)."""


def say(line: str) -> None:
    """Print a line at once. Pulumi shows a provider's standard error immediately."""
    print(f"requorum: {plain(line)}", file=sys.stderr, flush=True)


def told(line: str) -> None:
    """Answer the process that started this one."""
    print(plain(line), flush=True)


def note(line: str) -> None:
    """Show a line among those of Pulumi."""
    pulumi.log.info(plain(line))


def warn(line: str) -> None:
    """Show a line that asks for attention."""
    pulumi.log.warn(plain(line))


def stop(error: RequorumError) -> NoReturn:
    """End the program with one error, the last that Pulumi shows."""
    pulumi.log.error(shown(error))
    raise SystemExit(TOLD)
