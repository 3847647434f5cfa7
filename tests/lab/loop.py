"""The loop that the shipped files themselves run, whatever runs them: from a request to a swarm that came back."""

from collections.abc import Callable
from dataclasses import dataclass

from lab import nodes
from recovery.pipeline.consent_line import KEY, consented
from tests.fake.forge import FakeForge
from tests.lab.acting import Done
from tests.lab.repository import Repository
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

TRIES = 3


@dataclass
class Jobs:
    """The jobs of the shipped files, as one forge starts them."""

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


def a_request_gets_one_comment(repository: Repository, forge: FakeForge, jobs: Jobs) -> None:
    """Two pushes to a request: the second edits the comment of the first."""
    for limit in (5, 6):
        repository.change(swarm={**repository.setting("swarm"), "taskHistoryLimit": limit})
        repository.push("topic", f"keep {limit} old tasks")
        repository.publish("topic")
        require(jobs.preview)
    (comment,) = forge.comments.values()
    assert comment["on"] == 7
    assert f"requorum:preview:{repository.stack}" in comment["body"]
    assert "no plan" not in comment["body"]


def a_total_loss_comes_back_by_a_merge(swarm: Swarm, repository: Repository, forge: FakeForge, jobs: Jobs) -> None:
    """Lost, asked, merged, recovered, closed, and the line is gone."""
    before = swarm.picture()
    nodes.lose(swarm.lab, MANAGERS)
    jobs.watch()
    (issue,), (request,) = forge.issues(), forge.requests()
    asked = consented(forge.files[request["branch"]][repository.file])
    assert asked in request["title"]
    assert asked in issue["body"]
    repository.merge(request["branch"])
    require(jobs.recover)
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert not before.differences(swarm.picture())
    assert forge.issues() == []
    (request,) = forge.requests()
    assert request["branch"] == f"requorum/recovered-{repository.stack}"
    repository.merge(request["branch"])
    assert KEY not in repository.text
    require(jobs.recover)
    require(jobs.up)
