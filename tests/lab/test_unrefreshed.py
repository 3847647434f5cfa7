"""Lost node containers, and updates with `--refresh=false`, in whose state nothing is lost. The tests run in order."""

import pytest

from lab import nodes
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = [pytest.mark.whole, pytest.mark.timeout(1800)]  # a module of recoveries on a busy machine


@pytest.fixture(scope="module", autouse=True)
def _working(swarm: Swarm) -> None:
    """Services run while managers are lost."""
    swarm.run_workload()


@pytest.mark.parametrize("lost", [MANAGERS[2:], MANAGERS], ids=["one", "all"])
def test_lost_containers_are_made_again_only_by_an_update_that_refreshes(swarm: Swarm, lost: tuple[str, ...]) -> None:
    assert swarm.stack.requorum("backup").status == 0
    before = swarm.picture()
    nodes.lose(swarm.lab, lost)
    left = swarm.machines()
    update = swarm.stack.up if len(lost) == 1 else swarm.stack.recover
    refused = update("--refresh=false", check=False)
    assert refused.status != 0
    assert "code: refresh-needed" in refused.text
    assert swarm.machines() == left, "nothing was made, and nothing went"
    update()
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert not before.differences(swarm.picture())
    assert "unchanged" in swarm.stack.up("--skip-preview", "--expect-no-changes").text
