"""The figures of a report in words, the same on every page. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime

Figure = Callable[[float], str]
MINUTE = 60
READ_AT_ONCE = 2 * MINUTE
"""Seconds. A longer time is shown in minutes or hours."""


def exact(seconds: float) -> str:
    """A time in seconds."""
    return f"{seconds} s" if isinstance(seconds, int) else f"{seconds:.1f} s"


def clock(seconds: int) -> str:
    """A time of minutes or hours, as a clock shows it."""
    hours, rest = divmod(seconds, MINUTE * MINUTE)
    shown = f"{rest // MINUTE:02}:{rest % MINUTE:02}"
    return f"{hours}:{shown}" if hours else shown.removeprefix("0")


def duration(seconds: float) -> str:
    """A time as a figure for people: seconds, and of a long one minutes or hours."""
    if seconds < READ_AT_ONCE:
        return exact(seconds)
    return f"{clock(round(seconds))} {'min' if round(seconds) < MINUTE * MINUTE else 'h'}"


def length(outage: Mapping[str, float | None], figure: Figure = exact) -> str:
    """How long there was no quorum, or its bounds."""
    if outage["seconds"] is not None:
        return figure(float(outage["seconds"]))
    bounds = {"at least": outage["atLeast"], "at most": outage["atMost"]}
    return (
        ", ".join(f"{word} {figure(float(seconds))}" for word, seconds in bounds.items() if seconds is not None)
        or "not known"
    )


def moment(iso: str) -> str:
    """A time for people."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC"


def rpo_words(rpo: Mapping[str, int | None], figure: Figure = exact) -> str:
    """What may be missing after a recovery."""
    if (seconds := rpo.get("lossSeconds")) is not None:
        return f"{figure(seconds)} (from the restored copy to the loss)"
    if (seconds := rpo.get("lossAtMost")) is not None:
        return f"at most {figure(seconds)} (from the restored copy to the first plan)"
    if rpo["seconds"]:
        return f"{figure(rpo['seconds'])} (the age of the restored copy)"
    if rpo["entries"]:
        return f"up to {rpo['entries']} log entries whose commit was never confirmed"
    return "no loss"
