"""The shipped workflows of GitHub themselves, run by act on a bare repository. The tests run in order."""

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
    act = Acting(repository.bare, folder, repository.forge, given, secrets(stack), outside(stack))
    return Jobs(
        act,
        lambda: act.github("preview", "pull_request_target", request="topic"),
        lambda: act.github("up", "push"),
        lambda: act.github("watch", "schedule"),
        lambda: act.github("recover", "push"),
    )


@pytest.fixture(scope="module")
def swarm(stack: Stack, jobs: Jobs) -> Swarm:
    return built(stack, jobs)


class TestLoop(Loop):
    """The whole loop."""
