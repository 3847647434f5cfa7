"""The shipped jobs of GitLab themselves, run by gitlab-ci-local on a bare repository. The tests run in order."""

from collections.abc import Iterator

import pytest

from lab.stack import Stack
from tests.fake.forge import FakeForge, serving
from tests.lab.acting import Acting
from tests.lab.loop import Jobs, Loop, built
from tests.lab.repository import Repository, outside, secrets, variables
from tests.lab.swarm import Swarm

pytestmark = [pytest.mark.whole, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def forge() -> Iterator[FakeForge]:
    with serving(FakeForge()) as made:
        yield made


@pytest.fixture(scope="module")
def repository(stack: Stack, forge: FakeForge, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("forge"), forge, stack)


@pytest.fixture(scope="module")
def jobs(repository: Repository, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    given, folder = variables(stack), tmp_path_factory.mktemp("runs")
    given["PULUMI_STACK"] = stack.name
    acting = Acting(repository.bare, folder, repository.forge, given, secrets(stack), outside(stack))
    return Jobs(
        acting,
        lambda: acting.gitlab("requorum-preview", REQUORUM_JOB="preview", REQUORUM_REQUEST="7"),
        lambda: acting.gitlab("requorum-up"),
        lambda: acting.gitlab("requorum-watch", REQUORUM_JOB="watch"),
        lambda: acting.gitlab("requorum-recover"),
    )


@pytest.fixture(scope="module")
def swarm(stack: Stack, jobs: Jobs) -> Swarm:
    return built(stack, jobs)


class TestLoop(Loop):
    """The whole loop."""
