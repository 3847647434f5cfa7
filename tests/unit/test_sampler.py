"""What a sampler of the lab makes of its looks: the fewest tasks, and the times without a leader."""

import pytest

from lab.instance import Instance
from tests.lab.sampler import Gap, Sample, Sampler


def sampler(*looks: tuple[float, str, int]) -> Sampler:
    return Sampler(Instance(82), ("manager-a",), "web", [Sample(*look) for look in looks])


LED = [(0.5 * number, "manager-a", 3) for number in range(10)]


def test_the_fewest_tasks_of_any_look() -> None:
    assert sampler(*LED, (5.0, "manager-a", 2), (5.5, "manager-a", 3)).fewest == 2


def test_a_swarm_that_is_led_in_each_look_has_no_gap() -> None:
    found = sampler(*LED)
    assert found.gaps == ()
    found.require_led(elections=0)


def test_an_election_is_one_gap_and_two_are_too_many_for_one() -> None:
    silent = [(5.0 + 0.5 * number, "", 3) for number in range(20)]
    found = sampler(*LED, *silent, (15.0, "manager-b", 3))
    assert found.gaps == (Gap(10.5, "manager-a", "manager-b"),)
    found.require_led(elections=1)
    with pytest.raises(AssertionError):
        found.require_led(elections=0)


def test_a_swarm_that_stays_without_a_leader_is_no_election() -> None:
    silent = [(5.0 + number, "", 3) for number in range(100)]
    for found in (sampler(*LED, *silent, (105.0, "manager-a", 3)), sampler(*LED, *silent)):
        with pytest.raises(AssertionError):
            found.require_led(elections=1)
