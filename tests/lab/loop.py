"""The whole loop that the shipped files themselves run, whatever runs them: from a request to a swarm that came back."""

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from lab import cluster, keys, nodes
from lab.stack import Stack
from recovery.pipeline.consent_line import KEY, consented
from tests.fake.forge import FakeForge
from tests.lab.acting import Acting, Done
from tests.lab.repository import Repository
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

TRIES = 3
ADDED = "worker-3"
STALE = "r0123456789abcdef"
"""The ID of no plan."""


@dataclass
class Jobs:
    """The jobs of the shipped files, as one forge starts them."""

    runner: Acting
    preview: Callable[[], Done]
    up: Callable[[], Done]
    watch: Callable[[], Done]
    recover: Callable[[], Done]
    """What the merge of a request starts that changed a stack file."""


def require(job: Callable[[], Done]) -> Done:
    """Run a job until it ends well. On a busy machine, the managers lose their leader for a while, and each job may be run again."""
    for _ in range(TRIES):
        if (done := job()).status == 0:
            return done
    raise AssertionError(done.log)


def built(stack: Stack, jobs: Jobs) -> Swarm:
    """The cluster, built by the job that a push to main starts."""
    require(jobs.up)
    cluster.link_plugins(stack.instance)
    made = Swarm(stack)
    made.await_standing(*MANAGERS, *WORKERS)
    return made


class Loop:
    """The tests of the loop, in order. A module that inherits them has the fixtures."""

    def test_a_request_gets_one_comment_and_a_merge_builds_it(
        self, swarm: Swarm, repository: Repository, forge: FakeForge, jobs: Jobs
    ) -> None:
        """Two pushes to a request that adds a worker: the second edits the comment of the first."""
        for last in (33, 34):
            address = f"10.{swarm.lab.octet}.3.{last}"
            keys.ensure(swarm.lab, {ADDED: address})
            repository.change(workers=[*worker_entries(swarm), {"name": ADDED, "address": address}])
            repository.push("topic", f"a worker at {address}")
            repository.publish("topic")
            require(jobs.preview)
        (comment,) = forge.comments.values()
        assert comment["on"] == 7
        assert f"requorum:preview:{repository.stack}" in comment["body"]
        assert ADDED in comment["body"]
        assert address in comment["body"]
        repository.push("main", "merge topic")
        require(jobs.up)
        swarm.await_standing(*MANAGERS, *WORKERS, ADDED)

    def test_a_lost_manager_is_reported_and_healed(self, swarm: Swarm, forge: FakeForge, jobs: Jobs) -> None:
        """The first watch only says it. The owner then switches healing on."""
        before = swarm.picture()
        nodes.lose(swarm.lab, ["manager-c"])
        jobs.watch()
        assert len(forge.issues()) == 1
        assert not swarm.has_volume("manager-c")
        jobs.runner.variables = {**jobs.runner.variables, "REQUORUM_HEAL": "true"}
        for _ in range(TRIES):
            jobs.watch()
            if not forge.issues():
                break
        assert forge.issues() == []
        swarm.await_standing(*MANAGERS, *WORKERS, ADDED)
        assert not before.differences(swarm.picture())

    def test_a_total_loss_comes_back_by_a_merge_also_if_the_job_is_killed(
        self, swarm: Swarm, repository: Repository, forge: FakeForge, jobs: Jobs
    ) -> None:
        """Lost, asked, a stale consent refused, merged, killed, recovered, closed, and the line is gone."""
        before = swarm.picture()
        nodes.lose(swarm.lab, MANAGERS)
        jobs.watch()
        (issue,), (request,) = forge.issues(), forge.requests()
        asked = consented(forge.files[request["branch"]][repository.file])
        assert asked in request["title"]
        assert asked in issue["body"]

        repository.change(recover=STALE)
        repository.push("main", "consent to another plan")
        refused = jobs.recover()
        assert refused.status != 0
        assert "code: consent-stale" in refused.log
        assert not [name for name in MANAGERS if swarm.has_volume(name)]

        repository.merge(request["branch"])
        jobs.runner.killed = lambda process: kill_in_the_middle(swarm, process)
        assert jobs.recover().status != 0
        jobs.runner.killed = None
        done = jobs.recover()
        assert "removed the lock" in done.log, done.log
        if done.status:
            require(jobs.recover)
        swarm.await_standing(*MANAGERS, *WORKERS, ADDED)
        assert not before.differences(swarm.picture())
        assert forge.issues() == []
        (request,) = forge.requests()
        assert request["branch"] == f"requorum/recovered-{repository.stack}"
        repository.merge(request["branch"])
        assert KEY not in repository.text
        require(jobs.recover)
        require(jobs.up)


def kill_in_the_middle(swarm: Swarm, job: "subprocess.Popen[str]") -> None:
    """Once a manager's machine is there again: interrupt the job's command, and kill it and all that it started a second later."""
    end = time.monotonic() + 300
    while job.poll() is None and not {node.name for node in nodes.existing(swarm.lab)} & set(MANAGERS):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert job.poll() is None
    started = psutil.Process(job.pid)
    command = [one for one in (started, *started.children(recursive=True)) if {"ci", "recover"} <= {*one.cmdline()}][-1]
    command.send_signal(signal.SIGINT)
    time.sleep(1)
    assert command.is_running(), "Pulumi lets the step that it works on end"
    for process in (*started.children(recursive=True), started):
        process.kill()


def worker_entries(swarm: Swarm) -> list[dict[str, str]]:
    """The workers of the lab's stack file."""
    return [{"name": name, "address": f"10.{swarm.lab.octet}.{zone}.2{zone}"} for zone, name in enumerate(WORKERS, 1)]
