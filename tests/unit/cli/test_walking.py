"""The commands that walk over all nodes: what they show before, what they refuse, and how the operator's command is heard."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.cli import console
from recovery.settings import Engine
from tests.fake.cases import Case, Scene, Theatre
from tests.fake.wires import wired


@pytest.fixture
def scene() -> Iterator[tuple[Theatre, Scene]]:
    with wired() as wires:
        theatre = Theatre(wires)
        yield theatre, theatre.stage(Case(3, frozenset()))


@pytest.fixture
def run(scene: tuple[Theatre, Scene], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    of = scene[1].settings
    engine = Engine.model_validate({"version": "28.0", "command": "install 28.0.4"})
    monkeypatch.setattr(console, "_settings", lambda *_: of.model_copy(update={"engine": engine}))
    return lambda *words, **given: CliRunner().invoke(cli.app, words, **given)


def test_a_dry_run_shows_each_step_with_the_votes_and_does_nothing(
    run: Callable[..., Any], scene: tuple[Theatre, Scene]
) -> None:
    done = run("upgrade", "--dry-run")
    lines = done.stdout.splitlines()
    assert lines[0] == "1. worker-1: drain, upgrade its engine (20.10.24 -> 28.0), then active again"
    assert len(lines) == 4
    assert all(line.endswith("votes 3 -> 2, tolerates 0") for line in lines[1:])
    assert not scene[0].wires.effects


def test_a_dry_run_for_one_node_shows_the_reboot_and_does_nothing(
    run: Callable[..., Any], scene: tuple[Theatre, Scene]
) -> None:
    done = run("reboot", "worker-1", "--dry-run", "--yes")
    assert done.stdout == "reboot worker-1 (10.77.1.41)\n"
    assert done.exit_code == 0
    assert not scene[0].wires.effects


def test_without_consent_nothing_is_done(run: Callable[..., Any], scene: tuple[Theatre, Scene]) -> None:
    done = run("reboot", "--all", input="n\n")
    assert "reboot on 4 nodes in this order. Continue?" in done.stdout
    assert done.exit_code == 1
    assert not scene[0].wires.effects


def test_a_command_is_heard_from_each_node_as_text(run: Callable[..., Any], scene: tuple[Theatre, Scene]) -> None:
    done = run("run", "--rolling", "--yes", "sync", "--all", "-x")
    assert done.exit_code == 0, done.output
    assert [line for line in done.stdout.splitlines() if line.endswith(": done")] != []
    assert {machine.ran for machine in scene[0].wires.swarm.machines.values()} == {("sync --all -x",)}
    assert done.stdout.splitlines()[-1].startswith("done: worker-1, ")


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("run", "sync"), 2, "requorum run --rolling sync"),
        (("run", "--rolling"), 2, "COMMAND"),
        (("reboot",), 2, "name one node, or give --all"),
        (("reboot", "manager-a", "--all"), 2, "name one node, or give --all"),
        (("reboot", "manager-a", "--batch", "2"), 2, "--batch can only be given with --all"),
        (("reboot", "manager-a", "--anew", "--yes"), 2, "--anew can only be given with --all"),
        (("reboot", "manager-a", "--without-quorum"), 2, "--without-quorum can only be given with --all"),
        (("upgrade", "--batch", "0"), 2, "--batch"),
    ],
)
def test_what_is_missing_is_named(run: Callable[..., Any], words: tuple[str, ...], status: int, told: str) -> None:
    done = run(*words)
    assert done.exit_code == status
    assert told in " ".join(done.output.replace("│", "").split())


def test_an_upgrade_without_a_version_is_refused(
    run: Callable[..., Any], scene: tuple[Theatre, Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_settings", lambda *_: scene[1].settings)
    done = run("upgrade", "--yes")
    assert done.exit_code == 2
    assert "requorum:engine: is not set" in done.stderr
