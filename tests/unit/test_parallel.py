"""Several at once."""

from threading import Barrier, Lock

import pytest

from recovery.parallel import side_by_side


def test_the_results_have_the_order_of_the_items() -> None:
    assert side_by_side(lambda item: item * 2, [3, 1, 2]) == (6, 2, 4)
    assert side_by_side(lambda item: item, []) == ()


def test_all_run_at_the_same_time() -> None:
    together = Barrier(5)
    assert len(side_by_side(lambda _: together.wait(timeout=60), range(5))) == 5


def test_no_more_run_at_a_time_than_are_allowed() -> None:
    counts, running, lock, pair = [], set[int](), Lock(), Barrier(2)

    def act(item: int) -> None:
        with lock:
            running.add(item)
            counts.append(len(running))
        pair.wait(timeout=60)
        with lock:
            running.remove(item)
        pair.wait(timeout=60)

    side_by_side(act, range(4), at_most=2)
    assert max(counts) == 2


def test_an_error_is_raised_when_those_that_run_have_ended_and_the_first_items_is() -> None:
    done, begun = [], Barrier(4)

    def act(item: int) -> None:
        begun.wait(timeout=60)
        if item < 2:
            raise ValueError(f"item {item}")
        done.append(item)

    with pytest.raises(ValueError, match="item 0"):
        side_by_side(act, range(4))
    assert sorted(done) == [2, 3]
