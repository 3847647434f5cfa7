"""A theatre for each module, and at which of its effects a recovery is interrupted: at each one by night, before a push at every third."""

from collections.abc import Iterator
from itertools import count
from zlib import crc32

import pytest

from tests.fake.cases import Theatre
from tests.fake.wires import wired

STEP = 3


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    with wired() as wires:
        yield Theatre(wires)


@pytest.fixture
def points(request: pytest.FixtureRequest) -> Iterator[int]:
    """The numbers of effects, from 1 on. Where some are left out, the tests do not all leave out the same."""
    if request.config.getoption("--whole"):
        return count(1)
    return count(1 + crc32(request.node.nodeid.encode()) % STEP, STEP)
