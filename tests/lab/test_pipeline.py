"""The whole loop of a pipeline, by the commands of the shipped workflows in clones of a bare repository. The tests run in order."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from lab import cluster, keys, nodes
from lab.stack import Stack
from recovery.pipeline.consent_line import KEY, consented
from tests.fake.forge import FakeForge, serving
from tests.lab.loop import kill_in_the_middle, worker_entries
from tests.lab.repository import Repository, outside, secrets, variables
from tests.lab.runner import Ran, Runner
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = [pytest.mark.whole, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def forge() -> Iterator[FakeForge]:
    with serving(FakeForge()) as made:
        yield made


@pytest.fixture(scope="module")
def repository(stack: Stack, forge: FakeForge, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("forge"), forge, stack)


@pytest.fixture(scope="module")
def runner(repository: Repository, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    folder = tmp_path_factory.mktemp("runs")
    return Runner(repository.bare, folder, repository.forge, variables(stack), secrets(stack), outside(stack))


@pytest.fixture(scope="module")
def second(repository: Repository, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """Another runner, which heals."""
    folder, given = tmp_path_factory.mktemp("second"), {**variables(stack), "REQUORUM_HEAL": "true"}
    return Runner(repository.bare, folder, repository.forge, given, secrets(stack), outside(stack))


def at_once(*runners: Runner) -> list[Ran]:
    """The watches of several runners at the same time."""
    with ThreadPoolExecutor(len(runners)) as pool:
        return [job.result() for job in [pool.submit(one.job, "watch", "watch") for one in runners]]


def again(job: Callable[[], Ran], well: Callable[[Ran], bool]) -> Ran:
    """Run a job until it ends well. On a busy machine, a node is silent for a while, or the managers lose their leader."""
    for _ in range(3):
        if well(ran := job()):
            return ran
    raise AssertionError(ran.log)


def reports(stack: Stack) -> set[str]:
    return {one["name"] for one in json.loads(stack.requorum("reports", "--json").text)["reports"]}


@pytest.fixture(scope="module")
def swarm(stack: Stack, runner: Runner) -> Swarm:
    """The cluster, built by the job that a push to main starts."""
    done = runner.job("up", "up")
    assert done.status == 0, done.log
    cluster.link_plugins(stack.instance)
    return Swarm(stack)


def test_a_request_gets_one_comment_and_a_merge_builds_it(
    swarm: Swarm, repository: Repository, runner: Runner, forge: FakeForge
) -> None:
    swarm.await_standing(*MANAGERS, *WORKERS)
    octet = swarm.lab.octet
    workers = worker_entries(swarm)
    for last in (33, 34):
        keys.ensure(swarm.lab, {"worker-3": f"10.{octet}.3.{last}"})
        repository.change(workers=[*workers, {"name": "worker-3", "address": f"10.{octet}.3.{last}"}])
        repository.push("topic", f"a worker at {last}")
        done = runner.job("preview", "preview", request="topic")
        assert done.status == 0, done.log
    (comment,) = forge.comments.values()
    assert "worker-3" in comment["body"]
    assert f"10.{octet}.3.34" in comment["body"]
    repository.push("main", "merge topic")
    done = runner.job("up", "up")
    assert done.status == 0, done.log
    swarm.await_standing(*MANAGERS, *WORKERS, "worker-3")


def test_a_lost_manager_is_reported_then_healed_and_the_issue_is_closed(
    swarm: Swarm, runner: Runner, second: Runner, forge: FakeForge
) -> None:
    """Two watches at once heal it: one does, and the other leaves it alone."""
    nodes.lose(swarm.lab, ["manager-c"])
    seen = runner.job("watch", "watch")
    assert (seen.status, seen.outputs["act"]) == (3, "say"), seen.log
    assert len(forge.issues()) == 1
    runner.variables = {**runner.variables, "REQUORUM_HEAL": "true"}
    before = reports(swarm.stack)
    healed, other = sorted(at_once(runner, second), key=lambda one: one.outputs["act"] != "heal")
    assert (healed.status, healed.outputs["act"]) == (0, "heal"), healed.log
    assert (other.status, other.outputs["act"]) in ((0, "close"), (3, "nothing")), other.log
    assert len(reports(swarm.stack) - before) == 1
    swarm.await_standing(*MANAGERS, *WORKERS, "worker-3")
    again(lambda: runner.job("watch", "watch"), lambda ran: ran.outputs["act"] == "close")
    assert forge.issues() == []


def test_a_total_loss_comes_back_by_a_merge_also_if_the_job_is_killed(
    swarm: Swarm, repository: Repository, runner: Runner, second: Runner, forge: FakeForge
) -> None:
    """Two watches at once ask once."""
    before = swarm.picture()
    nodes.lose(swarm.lab, MANAGERS)
    seen, other = sorted(at_once(runner, second), key=lambda one: one.outputs["act"])
    assert (seen.status, seen.outputs["act"]) == (4, "ask"), seen.log
    assert (other.status, other.outputs["act"]) in ((4, "ask"), (4, "nothing")), other.log
    (issue,), (request,) = forge.issues(), forge.requests()
    assert seen.outputs["plan"] in request["title"]
    assert seen.outputs["plan"] in issue["body"]
    assert runner.job("recover", "consent").outputs["plan"] == "", "nobody merged yet"

    stale = runner.job("recover", "recover", plan="r0123456789abcdef")
    assert stale.status == 1
    assert "code: consent-stale" in stale.log

    repository.merge("requorum/recover-pipeline")
    plan = runner.job("recover", "consent").outputs["plan"]
    assert plan == seen.outputs["plan"]
    runner.killed = partial(kill_in_the_middle, swarm)
    assert runner.job("recover", "recover", plan=plan).status != 0
    runner.killed = None
    done = runner.job("recover", "recover", plan=plan)
    assert "removed the lock" in done.log
    if done.status:
        done = again(lambda: runner.job("recover", "recover", plan=plan), lambda ran: ran.status == 0)
    swarm.await_standing(*MANAGERS, *WORKERS, "worker-3")
    assert not before.differences(swarm.picture())
    assert "# Cluster lab" in done.log, "the report is in the summary"
    assert forge.issues() == []
    (request,) = forge.requests()
    assert request["branch"] == "requorum/recovered-pipeline"
    repository.merge("requorum/recovered-pipeline")
    assert (consented(repository.text), KEY in repository.text) == ("", False)
    assert runner.job("up", "up").status == 0
