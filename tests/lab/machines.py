"""Machines that Pulumi did not make: their names and addresses."""

from tests.lab.place import address
from tests.lab.swarm import MANAGERS, WORKERS

ADDRESSES = dict(
    zip(
        MANAGERS + WORKERS,
        (address(1, 11), address(2, 12), address(3, 13), address(1, 21), address(2, 22)),
        strict=True,
    )
)
