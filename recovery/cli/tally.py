"""The results of copying managers or service data, as a command collects and reports them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from recovery.cli.console import err
from recovery.cli.show.contract import DEGRADED, ERROR, FINE, failures_json
from recovery.errors import RequorumError

T = TypeVar("T")


@dataclass
class Tally(Generic[T]):
    """What was made, with its manifest, and what was not. ``owner`` is the key of a name in JSON: manager or data."""

    owner: str
    made: list[T] = field(default_factory=list)
    failures: list[tuple[str, RequorumError]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What a notification says about failures, each shown when it happened."""
    partial: list[str] = field(default_factory=list)
    """What it says about copies that are not at every site, or not proven."""

    def fail(self, name: str, what: str, error: RequorumError | None) -> None:
        """Note that there is no usable copy of ``name``, and show why."""
        self.faults.append(f"{name}: {what}\n{error}" if what else str(error))
        self.failures += [(name, error)] if error else []
        err.print(self.faults[-1], style="red")

    @property
    def all_faults(self) -> Sequence[str]:
        """Every fault, those of copies that were made last."""
        return [*self.faults, *self.partial]

    @property
    def failed_json(self) -> dict[str, Any]:
        """The failures as JSON of the contract."""
        return {"failed": failures_json(self.owner, self.failures)}

    def exit_code(self, good: int) -> int:
        """The exit code of the contract, when so many copies are good."""
        if not good:
            return ERROR
        return DEGRADED if self.all_faults else FINE
