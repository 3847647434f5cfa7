"""A condition that Requorum checks: whether it is met, what was found, its limit, and what to run if it is not met."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

IDENTITY = "identity"
"""The name of the condition that an identity here opens the copies."""


class State(StrEnum):
    """Whether a condition is met."""

    OK = "OK"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    """Requorum could not find out."""


@dataclass(frozen=True)
class Condition:
    """One condition: what was found, the limit, and what to run if it is not met."""

    name: str
    state: State
    found: str
    limit: str = ""
    short: str = ""
    """What a headline says of it. Empty if the condition is met."""
    remedy: str = ""
    grave: bool = False
    """Whether this fault alone stops a recovery from here, or the creation of the swarm."""
    here: bool = False
    """Whether the condition is about this machine. Another machine may meet it."""

    @property
    def line(self) -> str:
        """The condition as a line, with its limit in brackets."""
        return f"{self.state:<8} {self.name}: {self.found}" + (f" [{self.limit}]" if self.limit else "")

    @property
    def json(self) -> dict[str, str | bool | None]:
        """The condition as JSON of the contract."""
        return {
            "name": self.name,
            "state": str(self.state),
            "found": self.found,
            "limit": self.limit or None,
            "next": self.remedy or None,
            "grave": self.grave,
        }


def unmet(conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """The conditions that are not met, the gravest first."""
    order = {State.FAILED: 0, State.UNKNOWN: 1}
    found = [one for one in conditions if one.state is not State.OK]
    return tuple(sorted(found, key=lambda one: (order[one.state], not one.grave)))
