"""``python -m tests.lab``: the tests on the lab, side by side; a module that fails is run once more, from a fresh lab.

One that passes then is flaky: it is named in the last lines, its first log is kept, and the run counts as passed.
Arguments are pytest's.
"""

import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.lab.attempts import Attempt, by_module, closing_line, module, parted, to_repeat, verdict

HERE = Path(__file__).parent
LOGS = Path(".pytest_cache/flaky")
LABS_AT_ONCE = 3
SIDE_BY_SIDE = ("-n", str(LABS_AT_ONCE), "--dist", "loadfile", "--no-loadscope-reorder", "--durations=10")
ALONE = ("-n", "1")
"""A process of its own, and so a lab of its own."""


class Recorder:
    """A pytest plugin that notes what came of each test."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.logs: defaultdict[str, list[str]] = defaultdict(list)
        self.seconds: list[tuple[str, float]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Of set-up, call or teardown, also of a process that broke off: a test failed where any of them did."""
        self.seconds.append((report.nodeid, report.duration))
        if report.failed:
            self._failed(report)
        elif report.when == "call" or report.skipped:
            self.outcomes.setdefault(report.nodeid, report.outcome)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Of a module that cannot be imported."""
        if report.failed:
            self._failed(report)

    def _failed(self, report: Any) -> None:
        self.outcomes[report.nodeid] = "failed"
        said = [f"{title}\n{text}" for title, text in report.sections]
        self.logs[module(report.nodeid)].append("\n".join((report.nodeid, report.longreprtext, *said)))


def run(*arguments: str) -> tuple[Attempt, Recorder]:
    """Run pytest; what came of it."""
    recorder = Recorder()
    status = pytest.main(list(arguments), plugins=[recorder])
    return Attempt(int(status), recorder.outcomes), recorder


def keep(name: str, logs: list[str]) -> Path:
    """Keep what a module said as it failed."""
    LOGS.mkdir(parents=True, exist_ok=True)
    file = LOGS / f"{Path(name).stem}.log"
    file.write_text("\n\n".join(logs))
    return file


def main(arguments: list[str]) -> int:
    """Run all, then what failed; 0 when every module passed, at the first or the second attempt."""
    begun = time.monotonic()
    options, places = parted(arguments)
    first, recorder = run(*SIDE_BY_SIDE, *options, *(places or [str(HERE)]))
    print(
        "seconds by module:", *(f"{Path(name).stem} {took:.0f}" for name, took in by_module(recorder.seconds).items())
    )
    kept, second = {}, {}
    for name in to_repeat(first):
        kept[name] = keep(name, recorder.logs[name])
        print(f"{name} failed ({kept[name]}) and is run once more", flush=True)
        second[name], _ = run(*ALONE, *options, name)
    found = verdict(first, second)
    for name in found.flaky:
        print(f"FLAKY {name} failed once and passed when it was run again; its first log is {kept[name]}")
    print(closing_line(found.counts, time.monotonic() - begun), flush=True)
    return found.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
