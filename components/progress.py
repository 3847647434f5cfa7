"""Progress of an update on the operator's screen, and its end."""

import sys
from typing import NoReturn

import pulumi

from recovery.errors import RequorumError, shown

TOLD = 32
"""The exit status of a program that has shown its error. Pulumi adds no second error to it (its language host for Python)."""


def say(line: str) -> None:
    """Print a line at once. Pulumi shows a provider's standard error immediately."""
    print(f"requorum: {line}", file=sys.stderr, flush=True)


def stop(error: RequorumError) -> NoReturn:
    """End the program with one error, the last that Pulumi shows."""
    pulumi.log.error(shown(error))
    raise SystemExit(TOLD)
