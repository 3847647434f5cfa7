"""Which modules of the lab's tests are run once more, and what the run counts as."""

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from lab.errors import LabError
from tests.lab.__main__ import Recorder, keep
from tests.lab.attempts import Attempt, by_module, closing_line, parted, to_repeat, verdict
from tests.lab.claims import claim

A, B = "tests/lab/test_a.py", "tests/lab/test_b.py"
FINE = Attempt(pytest.ExitCode.OK, {f"{A}::test_x": "passed", f"{B}::test_y": "passed"})
BROKEN = Attempt(
    pytest.ExitCode.TESTS_FAILED,
    {f"{A}::test_x": "failed", f"{A}::test_z": "failed", f"{B}::test_y": "passed", f"{B}::test_s": "skipped"},
)
PASSED = Attempt(pytest.ExitCode.OK, {f"{A}::test_x": "passed", f"{A}::test_z": "passed"})
FAILED = Attempt(pytest.ExitCode.TESTS_FAILED, {f"{A}::test_x": "passed", f"{A}::test_z": "failed"})


@pytest.mark.parametrize(
    ("arguments", "options", "places"),
    [
        ([], [], []),
        (["--whole"], ["--whole"], []),
        (["--whole", "-k", "killed"], ["--whole", "-k", "killed"], []),
        ([f"{__file__}::test_x", "-x", __file__], ["-x"], [f"{__file__}::test_x", __file__]),
    ],
    ids=["nothing", "an option", "one with a value", "places"],
)
def test_options_say_nothing_of_which_tests_are_run(
    arguments: list[str], options: list[str], places: list[str]
) -> None:
    assert parted(arguments) == (options, places)


def test_a_module_that_failed_is_run_once_more_and_only_that_one() -> None:
    assert to_repeat(FINE) == ()
    assert to_repeat(BROKEN) == (A,)


def test_a_module_that_cannot_be_imported_is_run_once_more() -> None:
    assert to_repeat(Attempt(pytest.ExitCode.TESTS_FAILED, {A: "failed", f"{B}::test_y": "passed"})) == (A,)


@pytest.mark.parametrize(
    "status", [pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR]
)
def test_a_run_that_was_ended_is_not_repeated_and_does_not_pass(status: pytest.ExitCode) -> None:
    ended = Attempt(status, BROKEN.outcomes)
    assert to_repeat(ended) == ()
    assert verdict(ended, {}).status == status


def test_a_run_without_failures_passes() -> None:
    found = verdict(FINE, {})
    assert (found.status, found.flaky, found.counts) == (pytest.ExitCode.OK, (), {"passed": 2})


def test_a_module_that_passes_the_second_time_is_flaky_and_the_run_passes() -> None:
    found = verdict(BROKEN, {A: PASSED})
    assert (found.status, found.flaky) == (pytest.ExitCode.OK, (A,))
    assert found.counts == {"passed": 3, "skipped": 1}


def test_a_module_that_fails_twice_fails_the_run() -> None:
    found = verdict(BROKEN, {A: FAILED})
    assert (found.status, found.flaky) == (pytest.ExitCode.TESTS_FAILED, ())
    assert found.counts == {"passed": 2, "failed": 1, "skipped": 1}


def test_one_that_fails_twice_beside_a_flaky_one_fails_the_run() -> None:
    both = Attempt(pytest.ExitCode.TESTS_FAILED, {f"{A}::test_x": "failed", f"{B}::test_y": "failed"})
    found = verdict(both, {A: FAILED, B: Attempt(pytest.ExitCode.OK, {f"{B}::test_y": "passed"})})
    assert (found.status, found.flaky) == (pytest.ExitCode.TESTS_FAILED, (B,))


def test_a_failure_without_a_module_is_not_made_good() -> None:
    assert (
        verdict(Attempt(pytest.ExitCode.TESTS_FAILED, {f"{B}::test_y": "passed"}), {}).status
        == pytest.ExitCode.TESTS_FAILED
    )


def test_the_last_line_counts_each_test_once_in_pytest_s_words() -> None:
    assert " 1 failed, 2 passed, 1 skipped in 61.50s " in closing_line(verdict(BROKEN, {A: FAILED}).counts, 61.5)
    assert " no tests ran in 0.00s " in closing_line({}, 0)


def report(
    when: Literal["setup", "call", "teardown"], outcome: Literal["passed", "failed", "skipped"]
) -> pytest.TestReport:
    said = "it broke" if outcome == "failed" else None
    return pytest.TestReport(
        f"{A}::test_x", (A, 1, "test_x"), {}, outcome, said, when, [("Captured stdout", "a hint")], 1.5
    )


@pytest.mark.parametrize("when", ["setup", "call", "teardown"])
def test_a_test_failed_where_its_set_up_or_its_teardown_did(
    when: Literal["setup", "call", "teardown"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = Recorder()
    for phase in ("setup", "call", "teardown"):
        noted.pytest_runtest_logreport(report(phase, "failed" if phase == when else "passed"))
    assert noted.outcomes == {f"{A}::test_x": "failed"}
    assert by_module(noted.seconds) == {A: 4.5}
    monkeypatch.chdir(tmp_path)
    assert keep(A, noted.logs[A]).read_text() == f"{A}::test_x\nit broke\nCaptured stdout\na hint"


def test_what_passed_and_what_was_skipped_is_noted_once() -> None:
    noted = Recorder()
    for phase in ("setup", "call", "teardown"):
        noted.pytest_runtest_logreport(report(phase, "passed"))
    assert noted.outcomes == {f"{A}::test_x": "passed"}
    noted = Recorder()
    noted.pytest_runtest_logreport(report("setup", "skipped"))
    noted.pytest_runtest_logreport(report("teardown", "passed"))
    assert noted.outcomes == {f"{A}::test_x": "skipped"}


def test_each_claim_has_a_lab_of_its_own_until_there_is_none_left(tmp_path: Path) -> None:
    assert [claim((78, 82), tmp_path) for _ in range(2)] == [78, 82]
    with pytest.raises(LabError, match="other processes test on labs 78, 82"):
        claim((78, 82), tmp_path)


def test_the_lab_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    script = f"from pathlib import Path; from tests.lab.claims import claim; print(claim((78,), Path({str(tmp_path)!r})), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "78\n"
        assert claim((78, 82), tmp_path) == 82
        other.kill()
    assert claim((78, 82), tmp_path) == 78
