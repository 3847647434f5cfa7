"""Text of others, as it may be shown: no terminal obeys it, no line hides, nothing becomes markup."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from recovery.cli.screen import Screen, styled
from recovery.plain import in_markdown, line, plain

FORBIDDEN = {
    *map(chr, range(32)),
    *map(chr, range(127, 160)),
    *"\u200b\u200e\u200f\u202a\u202e\u2066\u2069\ufeff\xad",
} - {"\n"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("manager-a", "manager-a"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07rest", "rest"),
        ("\x1b]8;;https://x\x1b\\link", "link"),
        ("\x9b2Jgone", "gone"),
        ("\x1bcreset", "reset"),
        ("over\rwritten", "overwritten"),
        ("turned \u202eround", "turned round"),
        ("zero\u200bwidth", "zerowidth"),
        ("one\ttwo\u2028three", "one two three"),
        ("two\nlines", "two\nlines"),
        ("Zürich, 東京", "Zürich, 東京"),
        ("::set-output name=plan::r0", ": :set-output name=plan::r0"),
        ("one\n \xa0::add-mask::two", "one\n \xa0: :add-mask::two"),
        (":\u200b:error\x1b[0m::two", ": :error::two"),
        ("see ##[error]two", "see ## [error]two"),
        ("::1 and ::ffff:10.0.0.1", "::1 and ::ffff:10.0.0.1"),
        ("urn:pulumi:lab::requorum::a:b:C::quorum", "urn:pulumi:lab::requorum::a:b:C::quorum"),
    ],
)
def test_what_is_no_text_goes_and_what_is_text_stays(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text())
def test_nothing_that_moves_a_cursor_or_turns_text_is_left(text: str) -> None:
    assert not FORBIDDEN & set(plain(text))
    assert plain(plain(text)) == plain(text)
    assert "\n" not in line(text)


def test_a_page_in_markdown_shows_markup_as_text() -> None:
    assert in_markdown({"a": ["**b** [x](y) <i> | `c`\n# d", 1, None]}) == {
        "a": ["\\*\\*b\\*\\* \\[x\\](y) \\<i\\> \\| \\`c\\` # d", 1, None]
    }
    assert in_markdown("snake_case and _emphasis_") == "snake_case and \\_emphasis\\_"


def test_a_screen_shows_markup_and_escapes_as_text_wherever_they_come() -> None:
    screen = Screen(width=80)
    screen.file = io.StringIO()
    table = Table("name", title="[i]t")
    table.add_row("[/x]\x1b[2J")
    table.add_row(styled("[red]\u202ered", "red"))
    screen.print(table)
    screen.print("[bold]:smile:\x1b]0;owned\x07")
    shown = screen.file.getvalue()
    for text in ("[i]t", "[/x]", "[red]red", "[bold]:smile:"):
        assert text in shown
    assert not FORBIDDEN & set(shown)
