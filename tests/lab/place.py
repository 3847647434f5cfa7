"""Where the laboratory of this process is: a process of its own for a third of the modules, each with a lab beside the others."""

import os

OCTET = {"gw1": 82, "gw2": 86}.get(os.environ.get("PYTEST_XDIST_WORKER", ""), 78)
"""The lab's number, and the second part of its addresses."""


def address(zone: int, last: int) -> str:
    """A node's address on the lab."""
    return f"10.{OCTET}.{zone}.{last}"
