"""What an edit of a stack file would do, as Pulumi counts it."""

import re

from lab.stack import Stack

COUNT = re.compile(r"^ +(?:[~+-]+ ?)?(\d+) (?:to )?(create|update|replace|delete|unchanged)$", re.MULTILINE)


def previewed(stack: Stack) -> dict[str, int]:
    """How many resources a preview would create, update, replace or delete, and how many stay as they are."""
    shown = stack.preview().text
    found = {what: int(count) for count, what in COUNT.findall(shown.rpartition("Resources:")[2])}
    assert found, shown
    return found
