"""What a run of the lab's tests came to, and whether what failed is flaky: decided purely."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ORDER = ("failed", "passed", "skipped")


@dataclass(frozen=True)
class Attempt:
    """One run of pytest."""

    status: int
    outcomes: Mapping[str, str]
    """``passed``, ``failed`` or ``skipped`` by the ID of a test, or of a module that could not be imported."""

    @property
    def failed(self) -> tuple[str, ...]:
        """The modules in which anything failed."""
        return tuple(sorted({module(test) for test, outcome in self.outcomes.items() if outcome == "failed"}))


@dataclass(frozen=True)
class Verdict:
    """What a run and the second attempts of its failed modules came to together."""

    status: int
    flaky: tuple[str, ...]
    """The modules that failed and then passed."""
    counts: Mapping[str, int]
    """Tests by outcome, each by its last attempt."""


def module(test: str) -> str:
    """The file of a test."""
    return test.partition("::")[0]


def parted(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Options, with the values that follow them, and what is to be run: files, folders and tests of a file."""
    options: list[str] = []
    places: list[str] = []
    for argument in arguments:
        (places if Path(module(argument)).exists() else options).append(argument)
    return options, places


def to_repeat(first: Attempt) -> tuple[str, ...]:
    """The modules to be run once more. None where pytest itself was ended: then nobody knows what did not run."""
    return first.failed if first.status == pytest.ExitCode.TESTS_FAILED else ()


def verdict(first: Attempt, second: Mapping[str, Attempt]) -> Verdict:
    """``second`` holds the attempts of the modules that were `to_repeat`."""
    flaky = tuple(name for name, attempt in second.items() if attempt.status == pytest.ExitCode.OK)
    outcomes = {test: outcome for test, outcome in first.outcomes.items() if module(test) not in second}
    for attempt in second.values():
        outcomes |= attempt.outcomes
    repaired = bool(second) and len(flaky) == len(second)
    return Verdict(pytest.ExitCode.OK if repaired else first.status, flaky, Counter(outcomes.values()))


def closing_line(counts: Mapping[str, int], seconds: float) -> str:
    """The last line of a run, in the words of pytest."""
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ORDER if counts.get(outcome)) or "no tests ran"
    return f" {told} in {seconds:.2f}s ".center(80, "=")


def by_module(seconds: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The seconds of each module, the longest first, from those of tests."""
    total: dict[str, float] = {}
    for test, took in seconds:
        total[module(test)] = total.get(module(test), 0.0) + took
    return dict(sorted(total.items(), key=lambda pair: -pair[1]))
