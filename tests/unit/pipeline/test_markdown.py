"""Text that stays text, and cuts that leave nothing open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.pipeline.markdown import CLOSE, OPEN, cut, fenced, folded, marker, plain

NOTE = "The text is cut here."
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "[a](http://b)",
    "![a](http://b)",
    "@everyone",
    "a | b",
    "a\n# b",
    "`a`",
    "<!--",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_no_markdown(text: str) -> None:
    shown = plain(text)
    assert "\n" not in shown
    assert "<" not in shown
    assert "@e" not in shown
    for special in "`*_[]|~":
        assert shown.count(special) == shown.count(f"\\{special}")


def test_a_block_ends_only_at_its_end() -> None:
    block = fenced(["a", "````", "b\n```\nc"])
    assert block == ["`````text", "a", "````", "b", "```", "c", "`````"]


def test_a_marker_is_one_comment_whatever_the_stack_is_called() -> None:
    assert marker("a --> b\n") == "<!-- requorum:preview:a_--__b_ -->"


LONG = "\n".join(
    ["# é" * 3, *folded("more", [*fenced([f"line {n}" for n in range(50)], "sh")]), *fenced(["```", "x"]), "end"]
)


@given(st.integers(min_value=len(NOTE) + 40, max_value=len(LONG) + 50))
def test_a_cut_text_fits_and_leaves_nothing_open(limit: int) -> None:
    made = cut(LONG, limit, NOTE)
    assert len(made.encode()) <= limit
    if made == LONG:
        return
    lines = made.split("\n")
    assert lines[-1] == NOTE
    assert lines.count(OPEN) == lines.count(CLOSE)
    fences = [line for line in lines if line.startswith("```") and line != "```text"]
    assert len([line for line in fences if line in ("```sh", "```")]) % 2 == 0
    kept = lines[: -(3 + lines.count(OPEN))]
    assert LONG.startswith("\n".join(kept))


def test_a_text_that_fits_stays() -> None:
    assert cut(LONG, len(LONG.encode()), NOTE) == LONG
