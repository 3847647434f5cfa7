"""Where the laboratory of this process is: a process of its own for half of the modules, each with a lab beside the other."""

import os

OCTET = {"gw1": 82}.get(os.environ.get("PYTEST_XDIST_WORKER", ""), 78)
"""The lab's number, and the second part of its addresses."""


def address(zone: int, last: int) -> str:
    """A node's address on the lab."""
    return f"10.{OCTET}.{zone}.{last}"
