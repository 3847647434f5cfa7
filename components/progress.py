"""Progress of an update on the operator's screen."""

import sys


def say(line: str) -> None:
    """One line, at once. What a provider prints on standard error, Pulumi shows as it comes."""
    print(f"requorum: {line}", file=sys.stderr, flush=True)
