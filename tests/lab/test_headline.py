"""The headline, typed by a person, at each loss; a flag that is only saved brings nothing back. The tests run in order."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from lab import nodes
from lab.stack import PROJECT, Result, Stack
from tests.lab.swarm import MANAGERS, WORKERS, Swarm
from tests.lab.test_interrupted import has_started, plan_of

FLAG = "--config recover=true"
SPENT = "The recover: true in the stack file was set before this loss"


@contextmanager
def begun(stack: Stack, command: str) -> Iterator["subprocess.Popen[str]"]:
    """A Pulumi command on a terminal of its own, and no sign of a pipeline; killed with its providers where it did not end."""
    line = f"pulumi {command} --cwd {PROJECT} --stack {stack.name} --config-file {stack.file}"
    with subprocess.Popen(
        ["script", "--quiet", "--return", "--command", line, "/dev/null"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={key: value for key, value in stack.environment().items() if key != "CI"},
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                for member in (*psutil.Process(process.pid).children(recursive=True), process):
                    with suppress(psutil.NoSuchProcess):
                        member.kill()


def typed(stack: Stack, command: str) -> Result:
    """The same, at its end."""
    with begun(stack, command) as process:
        shown, _ = process.communicate(timeout=540)
    return Result(" ".join(shown.split()), process.returncode, 0.0)


@pytest.mark.parametrize("loss", ["first", "second"])
def test_the_typed_headline_recovers_from_each_total_loss(swarm: Swarm, loss: str) -> None:
    """Twice in a row, with nothing run in between: the second loss finds the flag in the stack file, and its note in S3."""
    before = swarm.picture()
    nodes.lose(swarm.lab, MANAGERS)
    done = typed(swarm.stack, f"up --yes {FLAG}")
    assert done.status == 0, done.text
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert not before.differences(swarm.picture())


def test_the_saved_flag_does_not(swarm: Swarm) -> None:
    assert str(swarm.stack.settings()["recover"]).lower() == "true"
    nodes.lose(swarm.lab, MANAGERS)
    for refused in (
        typed(swarm.stack, "up --yes"),
        swarm.stack.preview(*FLAG.split(), check=False),  # no terminal, so nobody typed it
    ):
        assert refused.status != 0
        assert SPENT in refused.text
    assert [node.name for node in nodes.existing(swarm.lab)] == list(WORKERS)


@pytest.mark.whole
def test_a_typed_preview_shows_consent_and_renews_no_flag(swarm: Swarm) -> None:
    shown = typed(swarm.stack, f"preview {FLAG}")
    assert shown.status == 0, shown.text
    assert "restore the swarm from swarm-" in shown.text
    assert SPENT in swarm.stack.up("--skip-preview", check=False).text


@pytest.mark.whole
def test_an_interrupted_recovery_goes_on_under_the_flag_that_was_typed_for_it(swarm: Swarm) -> None:
    """Killed while it makes machines, so that consent is still needed."""
    with begun(swarm.stack, f"up --yes --skip-preview {FLAG}"):
        swarm.until(lambda: len(nodes.existing(swarm.lab)) > len(WORKERS), "a machine is being made")
    swarm.stack.pulumi("cancel", "--yes")
    swarm.until(lambda: has_started(swarm), "machines that were just made have started")
    assert plan_of(swarm)["id"], "consent is still needed"
    swarm.until(lambda: goes_on(swarm), "the update goes on")
    swarm.await_standing(*MANAGERS, *WORKERS)


def goes_on(swarm: Swarm) -> bool:
    """Have the recovery go on; whether it did: a machine that is being started may be late to answer once more."""
    done = swarm.stack.up("--skip-preview", check=False)
    assert done.status == 0 or "not known to be lost" in done.text, done.text
    return done.status == 0
