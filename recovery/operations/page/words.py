"""The figures of a report in words, the same on every page. Pure."""

from collections.abc import Mapping
from datetime import datetime


def length(outage: Mapping[str, float | None]) -> str:
    """How long there was no quorum, or its bounds."""
    if outage["seconds"] is not None:
        return f"{outage['seconds']:.1f} s"
    bounds = {"at least": outage["atLeast"], "at most": outage["atMost"]}
    return (
        ", ".join(f"{word} {seconds:.1f} s" for word, seconds in bounds.items() if seconds is not None) or "not known"
    )


def moment(iso: str) -> str:
    """A time for people."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC"


def rpo_words(rpo: Mapping[str, int | None]) -> str:
    """What may be missing after a recovery."""
    if rpo.get("lossSeconds") is not None:
        return f"{rpo['lossSeconds']} s (from the restored copy to the loss)"
    if rpo.get("lossAtMost") is not None:
        return f"at most {rpo['lossAtMost']} s (from the restored copy to the first plan)"
    if rpo["seconds"]:
        return f"{rpo['seconds']} s (the age of the restored copy)"
    if rpo["entries"]:
        return f"up to {rpo['entries']} log entries whose commit was never confirmed"
    return "no loss"
