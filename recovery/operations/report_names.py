"""Which files are reports: by their names, which are times."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from recovery.copies.copy import TIME
from recovery.spans import SKEW

REPORT = re.compile(r"(\d{8}T\d{12}Z)\.json")


def among(files: Iterable[str]) -> list[str]:
    """The names of the reports among files of their folder, newest first. No report is of a time that is still to come."""
    latest = _latest()
    return [name for name in _all(files) if name <= latest]


def ahead(files: Iterable[str]) -> list[str]:
    """The names of a time that is still to come, newest first: the reports of an operator whose clock is ahead."""
    latest = _latest()
    return [name for name in _all(files) if name > latest]


def _latest() -> str:
    return (datetime.now(UTC) + SKEW).strftime(TIME)


def _all(files: Iterable[str]) -> list[str]:
    found = (REPORT.fullmatch(file) for file in files)
    return sorted((match[1] for match in found if match and _is_time(match[1])), reverse=True)


def _is_time(name: str) -> bool:
    try:
        datetime.strptime(name, TIME).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True
