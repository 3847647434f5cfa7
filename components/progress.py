"""Progress of an update on the operator's screen."""

import sys


def say(line: str) -> None:
    """Print a line at once. Pulumi shows a provider's standard error immediately."""
    print(f"requorum: {line}", file=sys.stderr, flush=True)
