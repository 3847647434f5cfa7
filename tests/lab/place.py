"""Where the laboratory of this process is: each process that runs these tests has one of its own, beside the others."""

import os
import tempfile
from pathlib import Path

from tests.lab.claims import claim

LABS = tuple(map(int, os.environ.get("REQUORUM_TEST_LABS", "78,82,83").split(",")))
"""Not by `REQUORUM_LAB`, which `make env` sets to the lab of `make up`: the tests would clear that."""
OCTET = claim(LABS, Path(tempfile.gettempdir()))
"""The lab's number, and the second part of its addresses."""


def address(zone: int, last: int) -> str:
    """A node's address on the lab."""
    return f"10.{OCTET}.{zone}.{last}"
