"""Where the laboratory of this process is: each process that runs these tests has one of its own, beside the others."""

import tempfile
from pathlib import Path

from tests.lab.claims import claim

LABS = (78, 82, 83)
OCTET = claim(LABS, Path(tempfile.gettempdir()))
"""The lab's number, and the second part of its addresses."""


def address(zone: int, last: int) -> str:
    """A node's address on the lab."""
    return f"10.{OCTET}.{zone}.{last}"
