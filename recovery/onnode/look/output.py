"""What a program prints, within a limit of time and of text."""

import subprocess

SECONDS = 3.0
LINES = 20
"""The last lines of a log that a finding shows."""
WIDTH = 2000
"""Characters of a line: an error is not cut off where it begins to be of use."""


def of(*argv: str, seconds: float = SECONDS) -> str:
    """What the program printed until it ended or its time did; nothing if there is no such program."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")


def last(text: str, lines: int = LINES) -> list[str]:
    """The last lines of a text."""
    return [line[:WIDTH] for line in text.splitlines() if line.strip()][-lines:]
