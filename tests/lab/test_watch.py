"""`requorum watch` on the lab: two watchers and an operator beside them. Nothing is done or told twice. The tests run in order."""

import json
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab import faults, nodes
from lab.stack import Stack
from tests.lab.service import Person, Service, hearing
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = [pytest.mark.whole, pytest.mark.timeout(3000)]
ALL = (*MANAGERS, *WORKERS)
COMMAND = re.compile(r"requorum consent (r[0-9a-f]{16}) --stack")
CALM = 20.0
"""Seconds in which each watcher looks several times."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watch")


@pytest.fixture(scope="module")
def heard(folder: Path) -> Iterator[list[str]]:
    with hearing(folder / "urls") as titles:
        yield titles


@pytest.fixture(scope="module")
def ann(stack: Stack, folder: Path, heard: list[str]) -> Person:
    made = Person(stack, folder)
    own = ["ssh-keygen", "-y", "-f", str(stack.instance.operator_key)]
    mine = subprocess.run(own, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    notify = {"urlsFile": str(folder / "urls")}
    stack.write({**stack.settings(), "operators": [mine, made.public], "notify": notify})
    return made


@pytest.fixture(scope="module")
def built(ann: Person, swarm: Swarm) -> Swarm:
    """The swarm, with the settings that watching needs."""
    swarm.stack.up("--skip-preview")
    swarm.await_standing(*ALL)
    return swarm


@pytest.fixture(scope="module")
def watchers(built: Swarm, folder: Path) -> Iterator[list[Service]]:
    made = [Service(built.stack, folder / f"watcher-{number}.log") for number in (1, 2)]
    for one in made:
        one.start()
    yield made
    for one in made:
        print(one.said)
        one.end()


def reports(stack: Stack) -> list[str]:
    """The names of the reports."""
    return [one["name"] for one in json.loads(stack.requorum("reports", "--json").text)["reports"]]


def calm(swarm: Swarm, heard: list[str]) -> None:
    """Nobody does or tells anything."""
    before = set(reports(swarm.stack)), list(heard), swarm.machines()
    time.sleep(CALM)
    assert (set(reports(swarm.stack)), list(heard), swarm.machines()) == before


def asked(swarm: Swarm, heard: list[str]) -> str:
    """The plan of the newest notification that asks for consent."""
    found: list[str] = []

    def told() -> bool:
        found[:] = [match[1] for text in heard if (match := COMMAND.search(text))]
        return bool(found)

    swarm.until(told, "a watcher asks for consent")
    return found[-1]


def test_a_healthy_swarm_is_left_alone(built: Swarm, watchers: list[Service], heard: list[str]) -> None:
    for one in watchers:
        built.until(lambda one=one: "close" in one.said, "each watcher looked")  # type: ignore[misc]
    calm(built, heard)
    assert heard == []


def test_a_lost_manager_is_healed_once(built: Swarm, watchers: list[Service], heard: list[str]) -> None:
    before, done = built.picture(), set(reports(built.stack))
    nodes.lose(built.lab, ["manager-c"])
    built.await_standing(*ALL)
    built.until(lambda: len(set(reports(built.stack)) - done) == 1, "the report of one recovery")
    calm(built, heard)
    assert len(set(reports(built.stack)) - done) == 1
    assert not before.differences(built.picture())
    assert heard == []


def test_a_silent_node_is_left_alone(built: Swarm, watchers: list[Service], heard: list[str]) -> None:
    done = set(reports(built.stack))
    heard.clear()
    faults.pause(built.lab, ["worker-1"])
    try:
        calm(built, heard)
        nodes.lose(built.lab, ["worker-2"])
        time.sleep(CALM)
        assert not built.has_volume("worker-2"), "nothing is healed beside a silent node"
        assert len(heard) <= 1
    finally:
        faults.unpause(built.lab, ["worker-1"])
    built.await_standing(*ALL)
    built.until(lambda: len(set(reports(built.stack)) - done) == 1, "the report of one recovery")
    if heard:
        built.until(lambda: len(heard) == 2, "people who heard of it hear that it is over")
        assert "recovered" in heard[1]
    calm(built, heard)


def test_all_is_lost_asked_answered_killed_and_recovered(
    built: Swarm, watchers: list[Service], heard: list[str], ann: Person
) -> None:
    before, done = built.picture(), set(reports(built.stack))
    heard.clear()
    nodes.lose(built.lab, MANAGERS)
    plan = asked(built, heard)
    time.sleep(CALM)
    assert len(heard) == 1, heard
    assert not [name for name in MANAGERS if built.has_volume(name)], "nobody consented yet"
    stale = ann.consents("r0123456789abcdef")
    assert (stale.status, "code: consent-not-asked" in stale.errors) == (1, True)

    given = ann.consents(plan)
    assert given.status == 0, given.errors
    end = time.monotonic() + 300
    while not {node.name for node in nodes.existing(built.lab)} & set(MANAGERS):
        assert time.monotonic() < end
        time.sleep(0.2)
    acting = next(one for one in watchers if "recover" in one.said.rpartition("close")[2] or has_pulumi(one))
    acting.kill()
    built.until(lambda: built.stands(*ALL), "the other watcher goes on by the same consent")
    acting.start()
    built.until(lambda: len(heard) == 2, "people hear that it is over")
    assert "recovered" in heard[1]
    built.until(lambda: len(set(reports(built.stack)) - done) == 1, "the report of one recovery")
    calm(built, heard)
    assert not before.differences(built.picture())
    assert len(set(reports(built.stack)) - done) == 1


def has_pulumi(service: Service) -> bool:
    assert service.process
    return any("pulumi" in child.name() for child in psutil.Process(service.process.pid).children(recursive=True))


def test_an_operator_works_beside_them(built: Swarm, watchers: list[Service], heard: list[str]) -> None:
    """The operator updates at the same moment: one waits or is refused, and the manager is brought back once."""
    before, done = built.picture(), set(reports(built.stack))
    nodes.lose(built.lab, ["manager-c"])
    update = built.stack.up("--skip-preview", check=False)
    assert update.status == 0 or re.search(r"locked|code: (lease-held|plan-outdated)", update.text), update.text
    built.await_standing(*ALL)
    calm(built, heard)
    assert len(set(reports(built.stack)) - done) == 1
    assert not before.differences(built.picture())


def healed(swarm: Swarm, manager: str, done: set[str]) -> None:
    """Wait until the swarm stands, as this manager lists it, and one more report is there."""
    swarm.until(lambda: swarm.stands(*ALL, manager=manager), "every node is back")
    swarm.until(lambda: len(set(reports(swarm.stack)) - done) == 1, "the report of one recovery")


@pytest.mark.timeout(7200)
def test_a_soak_of_random_losses(
    built: Swarm, watchers: list[Service], heard: list[str], ann: Person, request: pytest.FixtureRequest
) -> None:
    """`--minutes N`: losses of one node, and of a quorum now and then. One of the watchers is started again at random."""
    chance, end = random.Random(17), time.monotonic() + 60 * float(request.config.getoption("--minutes"))
    losses = 0
    while time.monotonic() < end:
        done, before = set(reports(built.stack)), built.picture()
        heard.clear()
        lost = MANAGERS[:2] if losses % 5 == 3 else [chance.choice(ALL)]
        nodes.lose(built.lab, lost)
        if chance.random() < 0.3:
            assert watchers[0].stop(chance.choice([signal.SIGINT, signal.SIGTERM])) == 130
            watchers[0].start()
        if len(lost) > 1:
            assert ann.consents(asked(built, heard)).status == 0
        healed(built, next(name for name in MANAGERS if name not in lost), done)
        if len(lost) > 1:
            built.until(lambda: len(heard) == 2, "people hear that it is over")
        calm(built, heard)
        assert len(set(reports(built.stack)) - done) == 1
        assert built.picture().cluster_id == before.cluster_id
        assert sum("consent needed" in text for text in heard) == (len(lost) > 1)
        losses += 1
        print(f"loss {losses}: {', '.join(lost)}")
    assert losses


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_a_watcher_is_stopped_at_once(built: Swarm, watchers: list[Service], number: signal.Signals) -> None:
    begun, before = time.monotonic(), len(watchers[0].said)
    assert watchers[0].stop(number) == 130
    assert time.monotonic() - begun < 30
    assert "next: start requorum watch again" in watchers[0].said[before:]
    before = len(watchers[0].said)
    watchers[0].start()
    built.until(lambda: "all is well" in watchers[0].said[before:], "it watches again")
