"""Properties hold or fail by what the code does, never by how long it took."""

from time import sleep

from hypothesis import given, settings
from hypothesis import strategies as st


@given(st.booleans())
@settings(max_examples=2)
def test_a_property_has_all_the_time_that_a_busy_machine_takes(late: bool) -> None:
    sleep(0.25 + late / 100)
