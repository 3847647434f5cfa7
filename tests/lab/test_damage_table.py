"""The table of damage: every kind of it to one, two and all of three managers, with autolock off and on.

The tests run in order. Each leaves the swarm healthy to the next. They recover without Pulumi, which takes half of the time.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from lab import cluster, damage, nodes
from lab.instance import Instance
from lab.stack import Stack, settings
from tests.lab.conftest import Variant
from tests.lab.here import requorum
from tests.lab.swarm import MANAGERS, WORKERS, Picture, Swarm

pytestmark = [pytest.mark.whole, pytest.mark.timeout(1200)]

AT_THE_END = (damage.FLIPPED_LATE, damage.TORN, damage.TOO_LONG, damage.TRUNCATED)
"""Kinds that only the last entries do not outlive."""
KINDS = (*AT_THE_END, damage.FLIPPED_EARLY, damage.FLIPPED_MIDDLE, damage.NO_SNAPSHOT)
COUNTS = (1, 2, 3)
RUN_AGAIN = ("plan-outdated", "engine-silent", "proof-failed")
"""What an operator runs the command again for. On a machine that is too busy, an engine is silent, or listens late for gossip."""
LOCKED = "-----BEGIN ENCRYPTED PRIVATE KEY-----"


@pytest.fixture(scope="module", params=[False, True], ids=["open", "autolocked"])
def autolock(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory, autolock: bool) -> Iterator[Stack]:
    name = "table-locked" if autolock else "table"
    made = Stack(lab, name, tmp_path_factory.mktemp(name) / f"Pulumi.{name}.yaml")
    values = settings(lab)
    made.write({**values, "swarm": {"autolock": autolock}, "backup": {**values["backup"], "prefix": name}})
    cluster.prepare(lab, made)
    yield made
    nodes.remove_all(lab)


@pytest.fixture(scope="module", autouse=True)
def _working(swarm: Swarm) -> None:
    swarm.run_workload()
    swarm.await_standing(*MANAGERS, *WORKERS)
    return


class Operator:
    """What an operator does about a damaged swarm: what the plan says, or what its refusal asks for."""

    def __init__(self, swarm: Swarm, variant: Variant) -> None:
        self.swarm, self._variant = swarm, variant
        self.said: list[str] = []
        """What the plans said is lost, and the codes of refusals."""

    def recovers(self) -> None:
        """Carry out the plan, once the engines have settled. Its ID consents to it."""
        self.swarm.until(self._is_done, "the plan is carried out")
        self.swarm.await_standing(*MANAGERS, *WORKERS)
        self.swarm.until(self._is_fine, "nothing is wrong")

    def _is_fine(self) -> bool:
        """A swarm may come back by itself while a run waits for it. The status then asks for the proof."""
        shown = requorum(self.swarm.stack, "status")
        if "a run is not proven" in shown.text:
            shown = requorum(self.swarm.stack, "recover", "--yes")
        assert shown.status == 0, shown.text + shown.errors
        return True

    def refused(self) -> dict[str, str]:
        """Why nothing is done now; empty if something is done."""
        plan = json.loads(requorum(self.swarm.stack, "plan", "--json").text)
        return {} if plan["refusal"] is None or plan["refusal"]["consent"] else plan["refusal"]

    def _is_done(self) -> bool:
        plan = json.loads(requorum(self.swarm.stack, "plan", "--json").text)
        refusal = plan["refusal"]
        if refusal and not refusal["consent"]:
            self.said.append(refusal["code"])
            if refusal["code"] == "log-unreadable":
                self._leaves(refusal["remedy"])
            return False
        self.said += plan["losses"]
        if not plan["steps"]:
            if not self.swarm.stands(*MANAGERS, *WORKERS):  # a log that ends early may not know a worker yet
                self.swarm.stack.up()
            return self.swarm.stands(*MANAGERS, *WORKERS)
        done = requorum(self._variant(recover=plan["id"] or None), "recover", "--yes")
        assert done.status == 0 or any(f"code: {code}\n" in f"{done.errors}\n" for code in RUN_AGAIN), (
            done.text + done.errors
        )
        return done.status == 0 and self.swarm.stands(*MANAGERS, *WORKERS)

    def _leaves(self, remedy: str) -> None:
        assert "docker swarm leave --force" in remedy
        for name in MANAGERS:
            self.swarm.on(name, "docker", "swarm", "leave", "--force")


@pytest.fixture
def operator(swarm: Swarm, variant: Variant) -> Operator:
    return Operator(swarm, variant)


def configs(picture: Picture) -> set[str]:
    return set(picture.objects["configs"].values())


def require_same(before: Picture, swarm: Swarm, *, autolock: bool) -> Picture:
    """The same swarm, with the same nodes, containers and objects other than configs, and locked as it was."""
    now = swarm.picture("manager-b")
    bare, found = (replace(one, objects={**one.objects, "configs": {}}) for one in (before, now))
    assert not bare.differences(found)
    heads = {swarm.on(name, "head", "-1", "/var/lib/docker/swarm/certificates/swarm-node.key") for name in MANAGERS}
    assert heads == {LOCKED} if autolock else LOCKED not in heads
    return now


@pytest.mark.parametrize(("kind", "count"), [(kind, count) for kind in KINDS for count in COUNTS])
def test_damaged_logs(swarm: Swarm, operator: Operator, autolock: bool, kind: str, count: int) -> None:
    """With a sound log nothing is lost. Without one, what is lost is told, and of the late kinds it is the last entries."""
    marks = [f"{kind.replace(' ', '-')}-{count}-{part}" for part in ("before", "last")]
    if count == len(MANAGERS):
        assert requorum(swarm.stack, "backup").status == 0
    for mark in marks:
        swarm.on("manager-a", "sh", "-c", f"echo {mark} | docker config create {mark} -")
    before = swarm.picture()
    damage.harm_all(swarm.lab, MANAGERS[:count], kind)
    operator.recovers()
    lost = configs(before) - configs(require_same(before, swarm, autolock=autolock))
    print(f"{kind}, {count} of 3: {sorted(lost) or 'nothing'} lost; {operator.said}")
    if count < len(MANAGERS):
        assert not lost
    elif kind in AT_THE_END:
        assert lost <= {marks[-1]}
    else:
        assert lost <= set(marks) or any("knows more" in line for line in operator.said)


def give_space(swarm: Swarm, operator: Operator, harmed: Sequence[str]) -> None:
    """What the refusal asks for; and the swarm directories are on the nodes' own disks again."""
    refusal = operator.refused()
    assert refusal["code"] == "disk-full"
    for name in harmed:
        damage.make_space(swarm.lab, name)
    for name in MANAGERS:
        if f"requorum restart {name}" in refusal["remedy"]:
            done = requorum(swarm.stack, "restart", name, "--yes")
            assert done.status == 0, done.text + done.errors
    operator.recovers()
    for name in harmed:
        damage.make_ordinary(swarm.lab, name)
        operator.recovers()


@pytest.mark.parametrize("count", COUNTS)
def test_disks_that_are_full_at_the_start(swarm: Swarm, operator: Operator, autolock: bool, count: int) -> None:
    before, harmed = swarm.picture(), MANAGERS[-count:]
    for name in harmed:
        damage.fill(swarm.lab, name)
    swarm.until(lambda: operator.refused().get("code") == "disk-full", "the cause is told")
    give_space(swarm, operator, harmed)
    assert not before.differences(require_same(before, swarm, autolock=autolock))


@pytest.mark.parametrize("count", COUNTS[1:])
def test_disks_that_fill_up_under_load(swarm: Swarm, operator: Operator, autolock: bool, count: int) -> None:
    """One disk of three is in `test_damaged`, and that of a swarm of one in `test_rescue`."""
    before, harmed = swarm.picture(), MANAGERS[-count:]
    for name in harmed:
        damage.make_small(swarm.lab, name, 150)
        operator.recovers()
    took = damage.write_until_full(swarm.lab, "manager-a")
    assert took > 0
    swarm.until(lambda: operator.refused().get("code") == "disk-full", "the cause is told")
    give_space(swarm, operator, harmed)
    now = require_same(before, swarm, autolock=autolock)
    assert configs(before) <= configs(now)
    assert len(configs(now) - configs(before)) >= took - 1, "what the engine took is there, but for the last entry"
    swarm.on("manager-a", "sh", "-c", "docker config ls --format '{{.Name}}' | grep ^load- | xargs docker config rm")
