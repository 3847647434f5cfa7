"""The lease of a round: for what it is held, and who asks for none."""

import pytest

from recovery.agent.run import DUE
from recovery.agent.state import AGAIN, DONE, State
from recovery.copies.manifest import Verdict
from recovery.s3 import lease
from tests.unit.agent.world import SECOND, Sent, World, backlog, refused


def test_the_lease_is_held_for_the_copy_of_the_swarm_as_it_is_alone(world: World, sent: Sent) -> None:
    backlog(world, 2)
    with world.without_s3():
        (world.folder / DUE).touch()
        world.run()
    assert world.run() == DONE
    assert (sent.order, sent.leased) == ([2, 1, 0], [True, False, False])


def test_what_waits_is_stored_while_another_has_the_lease(world: World, sent: Sent) -> None:
    backlog(world, 2)
    with world.patch.context() as patch:
        patch.setattr(lease.Leases, "hold", refused)
        assert world.run() == AGAIN
    assert (sent.order, len(world.waiting)) == ([0], 1), "not what is to be noted"
    assert world.run() == DONE
    assert (sent.order, sent.leased) == ([0, 1], [False, True])
    assert "agent/mark.json" in world.stored()


def test_what_waits_does_not_hold_up_a_copy_that_is_wanted(world: World, sent: Sent) -> None:
    backlog(world, 3)
    sent.after = {2: world.change}
    assert world.run() == DONE
    assert (sent.order, world.taken) == ([2, 1, 3, 0], 4)


def test_who_takes_no_copy_asks_for_no_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one leaves versions in a bucket that keeps them."""
    assert world.run() == DONE
    world.change()
    world.verdict = Verdict.FAILED
    assert world.run() == AGAIN
    failed = world.state
    monkeypatch.setattr(lease.Leases, "hold", lambda *_, **__: pytest.fail("it asks"))
    assert world.run() == AGAIN
    world.version, world.node, world.state = 1, SECOND, State()
    assert world.run() == DONE
    assert failed.fingerprint == world.state.fingerprint
