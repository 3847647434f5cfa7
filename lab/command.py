"""Running a command of the machine, with an error that explains itself."""

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

    ``doing`` and ``advice`` become part of the LabError raised when it fails or takes longer
    than ``timeout`` seconds. Secrets belong on ``stdin``: the command itself is shown.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout)
    except FileNotFoundError as error:
        raise LabError(doing, f"there is no {words[0]} here", advice) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(doing, f"{words[0]} took more than {timeout:.0f} s", advice) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-_SHOWN:]
        raise LabError(doing, f"`{' '.join(words)}` ended with {done.returncode}: {said}", advice)
    return done.stdout.decode(errors="replace")


def succeeds(argv: Sequence[str | Path], timeout: float = 60.0) -> bool:
    """Whether ``argv`` ends with 0; its output is of no interest."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
    return done.returncode == 0
