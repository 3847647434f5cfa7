"""What all that is shown shares: the version of the contract (docs/json.md), exit codes, times in words."""

VERSION = 1
FINE, ERROR, USAGE, DEGRADED, LOST = 0, 1, 2, 3, 4
"""Exit codes of every command."""


def span(seconds: int) -> str:
    """A time in seconds in words, by the largest unit of which there are two."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
