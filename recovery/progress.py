"""How an operation reports its progress."""

from collections.abc import Callable

Say = Callable[[str], None]
"""Reports what is being done to the operator, one line at a time."""
