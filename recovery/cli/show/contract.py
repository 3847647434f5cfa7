"""What all output shares: the version of the contract (docs/json.md), exit codes, errors, times in words."""

from collections.abc import Iterable
from typing import Any

from recovery.errors import RequorumError

VERSION = 1
FINE, ERROR, USAGE, DEGRADED, LOST, UNSEEN = 0, 1, 2, 3, 4, 5
"""Exit codes of every command."""


def error_object(error: RequorumError) -> dict[str, Any]:
    """An error as an object of the contract."""
    return {
        "code": error.code,
        "operation": error.doing,
        "why": error.why,
        "next": error.remedy,
        "node": error.node,
    }


def error_json(error: RequorumError) -> dict[str, Any]:
    """The document of a command that ended with an error, as JSON of the contract."""
    return {"version": VERSION, "error": error_object(error)}


def failures_json(what: str, failed: Iterable[tuple[str, RequorumError]]) -> list[dict[str, Any]]:
    """Failures by name, as JSON of the contract. ``what`` is the key of the name: manager or data."""
    return [{what: name, "error": error_object(error)} for name, error in failed]
