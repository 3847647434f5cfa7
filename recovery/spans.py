"""Times in words, and what two clocks may differ by."""

from datetime import timedelta

SKEW = timedelta(minutes=5)
"""By how much the clock of an S3 server or an operator may differ from ours."""


def span(time: float | timedelta) -> str:
    """A time in words, in the largest unit of which it has at least two. A number is in seconds."""
    seconds = int(time.total_seconds() if isinstance(time, timedelta) else time)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
