"""How the person of the walk reads a terminal."""

import pytest

from tests.lab.person import advised, next_line

SCREENS = [
    ("cluster lab: all lost\nnext: requorum plan\n", "requorum plan"),
    ("├── all lost\n└── next: switch on manager-a (10.1.1.11), or start\n    a fresh machine, then: requorum plan\n", "switch on manager-a (10.1.1.11), or start a fresh machine, then: requorum plan"),
    ("STOPPED: x\n  next: pulumi up\n  code: y\n", "pulumi up"),
    ("next: one\n\nerror: z\n  next: pulumi up --config recover=r1\n  code: y\n    error: program exited\n", "pulumi up --config recover=r1"),
    ("healthy\n", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), SCREENS)
def test_the_last_next_line_is_read_across_the_breaks_of_a_narrow_terminal(text: str, line: str) -> None:
    assert next_line(text) == line


LINES = [
    ("pulumi up", "", "pulumi up"),
    ("pulumi up. If it changes nothing, prove what the earlier run did: requorum recover", "", "pulumi up"),
    ("if no manager runs at an old address any more: pulumi up --config recover=r1", "", "pulumi up --config recover=r1"),
    ("docker start a b (docker unpause, where one is paused), wait 60 s, then: requorum status", "docker start a b (docker unpause, where one is paused), wait 60 s, ", "requorum status"),
    ("start w (10.1.1.2), or correct it. Then: pulumi up", "start w (10.1.1.2), or correct it. ", "pulumi up"),
    ("switch on a (10.1.1.1), then: requorum plan. If no machine is left: requorum fence a --lost", "switch on a (10.1.1.1), ", "requorum plan"),
    ("see docs/runbooks/quorum-lost.md", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("line", "by_hand", "command"), LINES)
def test_what_is_done_by_hand_comes_before_the_command(line: str, by_hand: str, command: str) -> None:
    assert advised(line) == (by_hand, command)
