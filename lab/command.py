"""Runs a command of this machine. Its errors say what failed and what to do."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError

_SHOWN = 2000


def run(
    argv: Sequence[str | Path],
    *,
    doing: str,
    advice: str,
    stdin: bytes = b"",
    timeout: float = 60.0,
) -> str:
    """Run ``argv`` and return its standard output.

    If the command fails or takes longer than ``timeout`` seconds, a LabError has ``doing`` and ``advice``. Pass secrets
    on ``stdin``, because the error shows the command.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout)
    except FileNotFoundError as error:
        raise LabError(doing, f"there is no {words[0]} here", advice) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(doing, f"{words[0]} took more than {timeout:.0f} s", advice) from error
    if done.returncode != 0:
        message = (done.stderr or done.stdout).decode(errors="replace").strip()[-_SHOWN:]
        raise LabError(doing, f"`{' '.join(words)}` ended with {done.returncode}: {message}", advice)
    return done.stdout.decode(errors="replace")


def succeeds(argv: Sequence[str | Path], timeout: float = 60.0) -> bool:
    """Whether ``argv`` exits with 0. Ignores its output."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
    return done.returncode == 0
