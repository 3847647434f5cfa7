"""What a person can do with Pulumi to a living, a damaged or a lost swarm, on the fake: no verb and no option destroys by accident.

After each command, a plain `pulumi up` ends well, and every machine of the stack file is the node that it was.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.edits.edits import EDITS
from tests.edits.files import Base, Raw, State, edited
from tests.edits.trial import Picture, Stage, node_ids, stage
from tests.fake.machine import Cut
from tests.fake.stack import Done, Stack
from tests.fake.verbs import Options

QUORUM, HEALTH = "quorum", "health"
FIRST, SECOND, WORKER = "10.77.1.11-member", "10.77.1.12-member", "10.77.1.21-member"
RESOURCES = (QUORUM, FIRST, SECOND, WORKER, HEALTH)
EACH_AND_ALL = [*(pytest.param((name,), marks=pytest.mark.whole) for name in RESOURCES), RESOURCES]
BROKEN = (State.ONE_LOST, State.QUORUM_LOST, State.ALL_LOST)
NIGHTLY_BUT_THREE = [pytest.param(count, marks=[] if count == 3 else [pytest.mark.whole]) for count in range(1, 8)]
GOES = ("leave", "join", "force a new cluster", "remove ")
"""The effects of a machine that goes or comes."""


@dataclass
class Scene:
    """A stack over a cluster to which something happened, and the stack file."""

    stage: Stage
    picture: Picture
    stack: Stack
    raw: Raw

    @property
    def before(self) -> dict[str, str]:
        return node_ids(self.picture.swarm)

    @property
    def now(self) -> dict[str, str]:
        return node_ids(self.stage.wires.swarm)

    def require_nobody_went(self, done: Done) -> None:
        """No machine has left, joined or been removed, and nobody has broken a rule of raft."""
        assert not [what for what in done.effects if what.partition(": ")[2].startswith(GOES)]
        assert not self.stage.wires.swarm.violations

    def require_well(self) -> None:
        """A plain update ends well, every node is the one of before, and another update does nothing."""
        done = self.stack.up(self.raw, consent=True)
        assert not done.failure
        for _ in range(3):
            self.stage.wires.swarm.pass_time()
        assert self.now == self.before
        assert not self.stage.wires.swarm.violations
        assert len(self.stage.wires.swarm.founded) == 1
        again = self.stack.up(self.raw)
        assert (again.failure, again.operations, again.effects) == ("", [], [])


@pytest.fixture(scope="module")
def theatre() -> Iterator[Stage]:
    with stage() as made:
        yield made


def scene(theatre: Stage, state: State = State.HEALTHY, *, base: Base = Base.NAMED) -> Scene:
    picture = theatre.build(base)
    return Scene(theatre, picture, theatre.lose(picture, state), dict(picture.file.values))


def some(option: str, *names: str) -> Options:
    return Options(**{option: frozenset(names)})


@pytest.mark.parametrize("names", EACH_AND_ALL, ids=" ".join)
def test_what_is_replaced_is_looked_at_and_nobody_goes(theatre: Stage, names: tuple[str, ...]) -> None:
    """A tainted resource is replaced too."""
    at = scene(theatre)
    done = at.stack.up(at.raw, options=some("replace", *names))
    assert not done.failure
    assert {f"{verb} {name}" for verb in ("create", "delete") for name in names} == set(done.operations)
    at.require_nobody_went(done)
    at.require_well()


@pytest.mark.parametrize("state", BROKEN)
def test_a_loss_is_mended_though_everything_is_replaced(theatre: Stage, state: State) -> None:
    at = scene(theatre, state)
    done = at.stack.up(at.raw, consent=True, options=some("replace", *RESOURCES))
    assert not done.failure
    at.require_well()


@pytest.mark.parametrize("option", ["target", "exclude"])
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(
    "name", [pytest.param(QUORUM, marks=pytest.mark.whole), SECOND, pytest.param(HEALTH, marks=pytest.mark.whole)]
)
def test_a_part_of_an_update_does_its_part_or_is_refused(theatre: Stage, state: State, name: str, option: str) -> None:
    """What a part cannot do is refused before anything changes, or says what is still missing."""
    at = scene(theatre, state)
    done = at.stack.up(at.raw, consent=True, options=some(option, name))
    if state is State.HEALTHY:
        assert (done.failure, done.operations, done.effects) == ("", [], [])
    elif option == "target" and name != QUORUM and (state is not State.ONE_LOST or name == HEALTH):
        assert done.code in ("no-leader", "proof-failed")
        at.require_nobody_went(done)
    at.require_well()


@pytest.mark.parametrize("option", ["target", "exclude"])
def test_a_node_that_the_file_no_longer_has_goes_only_with_the_part_that_has_it(theatre: Stage, option: str) -> None:
    at = scene(theatre)
    at.raw = {**at.raw, "workers": at.raw["workers"][1:]}
    done = at.stack.up(at.raw, options=some("target", FIRST) if option == "target" else some("exclude", WORKER, HEALTH))
    assert not done.failure
    at.require_nobody_went(done)
    assert at.now == at.before
    whole = at.stack.up(at.raw)
    assert not whole.failure
    assert at.before.keys() - at.now.keys() == {"10.77.1.21"}


@pytest.mark.parametrize("state", State)
def test_without_a_refresh_a_lost_swarm_is_not_begun(theatre: Stage, state: State) -> None:
    at = scene(theatre, state)
    done = at.stack.up(at.raw, consent=True, options=Options(refresh=False))
    assert done.code == ("refresh-needed" if state in (State.QUORUM_LOST, State.ALL_LOST) else "")
    if state is not State.ONE_LOST:
        assert not done.effects
    at.require_well()


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("names", EACH_AND_ALL, ids=" ".join)
def test_what_is_deleted_from_the_state_is_found_again(theatre: Stage, state: State, names: tuple[str, ...]) -> None:
    at = scene(theatre, state)
    for name in names:
        at.stack.forget(name)
    at.require_well()


@pytest.mark.parametrize("state", State)
def test_a_new_stack_takes_the_swarm_over(theatre: Stage, state: State) -> None:
    """As after `pulumi stack rm --force`."""
    at = scene(theatre, state)
    at.stack = Stack(theatre.wires, name="new")
    if state is State.HEALTHY:
        at.require_nobody_went(at.stack.up(at.raw))
    at.require_well()


@pytest.mark.parametrize("state", State)
def test_a_stack_may_be_renamed(theatre: Stage, state: State) -> None:
    at = scene(theatre, state)
    at.stack.rename("other")
    if state is State.HEALTHY:
        done = at.stack.up(at.raw)
        assert (done.failure, done.operations, done.effects) == ("", [], [])
    at.require_well()


@pytest.mark.parametrize("count", NIGHTLY_BUT_THREE)
@pytest.mark.parametrize("state", BROKEN)
def test_an_update_that_is_cancelled_is_finished_by_the_next(theatre: Stage, state: State, count: int) -> None:
    at = scene(theatre, state)
    done = at.stack.up(at.raw, consent=True, options=Options(cancel_after=count))
    assert done.failure in ("", "Cancelled")
    at.require_well()


@pytest.mark.parametrize("count", NIGHTLY_BUT_THREE)
@pytest.mark.parametrize("name", ["the first manager and a worker exchange their roles", "3 managers become 5"])
def test_an_edit_that_is_cancelled_is_finished_by_the_next(theatre: Stage, name: str, count: int) -> None:
    edit = next(edit for edit in EDITS if edit.name == name)
    at = scene(theatre, base=edit.base)
    at.raw = edited(edit, at.picture.file).values
    at.stack.up(at.raw, options=Options(cancel_after=count))
    assert not at.stage.wires.swarm.violations
    done = at.stack.up(at.raw)
    assert not done.failure
    assert {address: at.now[address] for address in at.before} == at.before
    assert not at.stack.up(at.raw).operations


@pytest.mark.parametrize("option", ["target", "exclude"])
@pytest.mark.parametrize("name", [FIRST, *(pytest.param(n, marks=pytest.mark.whole) for n in RESOURCES if n != FIRST)])
def test_a_part_of_a_destroy_takes_nobody_out(theatre: Stage, name: str, option: str) -> None:
    at = scene(theatre)
    done = at.stack.destroy(at.raw, options=some(option, name))
    assert not done.failure
    assert not done.effects
    at.require_well()


def lost(at: Scene) -> None:
    at.stage.wires.swarm.lose("host-12")


def reinstalled(at: Scene) -> None:
    lost(at)
    at.stage.wires.swarm.make("host-12", "10.77.1.12")


def cut_off(at: Scene) -> None:
    at.stage.wires.swarm.cut("host-12", Cut.US)


def a_worker_is_cut_off(at: Scene) -> None:
    at.stage.wires.swarm.cut("host-21", Cut.US)


@pytest.mark.parametrize(
    ("happens", "code"),
    [
        (lambda _: None, ""),
        (reinstalled, ""),
        (lost, ""),
        (cut_off, "node-unreachable"),
        (a_worker_is_cut_off, "node-unreachable"),
    ],
    ids=["nothing", "a manager is reinstalled", "a manager is lost", "a manager is cut off", "a worker is cut off"],
)
def test_a_destroy_ends_the_swarm_on_every_node_or_on_none(
    theatre: Stage, happens: Callable[[Scene], None], code: str
) -> None:
    at = scene(theatre)
    happens(at)
    there = at.now
    done = at.stack.destroy(at.raw)
    assert done.code == code
    if code:
        assert at.now == there
        at.require_nobody_went(done)
    else:
        assert not at.now
        assert not at.stack.state


@pytest.mark.parametrize("state", State)
def test_a_destroy_of_a_protected_swarm_lets_go_of_it(theatre: Stage, state: State) -> None:
    at = scene(theatre, state)
    there, protected = at.now, {**at.raw, "protect": True}
    done = at.stack.destroy(protected)
    assert not done.failure
    at.require_nobody_went(done)
    assert at.now == there
    at.require_well()


@pytest.mark.whole
def test_pulumi_imports_no_resource_of_ours(tmp_path: Path) -> None:
    """The real Pulumi. It asks our provider without the inputs of a resource, and ends before it changes anything."""
    if not (pulumi := shutil.which("pulumi")):
        pytest.skip("pulumi is not on the PATH: toolchain/install prints its folder")
    project = {"name": "requorum", "runtime": {"name": "python", "options": {"virtualenv": sys.prefix}}}
    (tmp_path / "Pulumi.yaml").write_text(json.dumps(project))
    (tmp_path / "__main__.py").touch()
    own = {"PULUMI_BACKEND_URL": tmp_path.as_uri(), "PULUMI_HOME": str(tmp_path / "home")}
    environment = {**os.environ, **own, "PULUMI_CONFIG_PASSPHRASE": "x", "PULUMI_SKIP_UPDATE_CHECK": "1"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [pulumi, *arguments, "--non-interactive", "--stack", "x"]
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    run("stack", "init")
    done = run("import", "--yes", "pulumi-python:dynamic/requorum:Quorum", QUORUM, "some-swarm")
    assert done.returncode
    assert "__provider" in done.stdout + done.stderr
    assert "requorum:Quorum" not in run("stack", "export").stdout
