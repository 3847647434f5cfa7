"""Where the laboratory of this process is: each process that runs these tests has one of its own, beside the others."""

import os
import tempfile
from pathlib import Path

from tests.lab.claims import claim

LABS = (int(os.environ["REQUORUM_TEST_LAB"]),) if "REQUORUM_TEST_LAB" in os.environ else (78, 82, 83)
"""The labs of these tests. `REQUORUM_TEST_LAB` names another one, for a single module beside a whole run."""
OCTET = claim(LABS, Path(tempfile.gettempdir()))
"""The lab's number, and the second part of its addresses."""


def address(zone: int, last: int) -> str:
    """A node's address on the lab."""
    return f"10.{OCTET}.{zone}.{last}"
