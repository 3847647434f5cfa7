"""The pages in a real browser: two widths, both themes. What is asserted is text, rectangles and contrast, not pixels."""

import re
from pathlib import Path
from typing import Any

import pytest

from recovery.operations.page import month, report, status
from tests.browser import chromium
from tests.browser.chromium import View
from tests.unit.operations.page import samples

VIEWS = [View(1280, 800, "light"), View(1280, 800, "dark"), View(390, 844, "light"), View(390, 844, "dark")]
PAGES = {
    **{name: (status.page, made) for name, made in samples.PAGES.items()},
    **{name: (report.page, made) for name, made in samples.REPORTS.items()},
}
MONTHS = samples.MONTHS
PAPER = [(718, 1047), (1047, 718)]
"""The sheet of A4 inside its margins, in both directions, in pixels of CSS."""
HOSTILE = {
    "month": lambda: month.page(samples.hostile(samples.month())),
    "status": lambda: status.page(samples.hostile(samples.silent())),
    "report": lambda: report.page(samples.hostile(samples.resumed())),
}
PHONE = 640
"""Pixels. Up to this width, a row of a table is drawn as lines."""
SMALLEST = 10.5
"""Pixels. Nothing that is to be read is smaller, also on a phone."""


@pytest.fixture(scope="module", autouse=True)
def browser() -> None:
    chromium.require()


def require_readable(found: dict[str, Any], view: View) -> None:
    """The window is the one that was asked for, nothing is beside it, nothing overlaps, and everything can be read."""
    assert (found["width"], found["height"], found["dark"]) == (view.width, view.height, view.theme == "dark")
    assert found["page"] <= view.width
    assert (found["wide"], found["spilt"], found["overlaps"]) == ([], [], False)
    assert len(found["contrasts"]) > 20
    assert [one for one in found["contrasts"] if one["ratio"] < one["needed"]] == []
    assert found["smallest"] >= SMALLEST


def require_tables(found: dict[str, Any], view: View) -> None:
    """No word is broken, and where a phone hides the headings, what needs one has it beside it."""
    assert found["broken"] == []
    stacked = view.width <= PHONE
    assert [one for one in found["labels"] if (one not in ("none", "normal")) is not stacked] == []


def test_a_total_loss_on_a_phone_is_answered_above_the_fold(tmp_path: Path) -> None:
    view = View(390, 844, "dark")
    found = chromium.measured(status.page(samples.total_loss()), tmp_path, view)
    require_readable(found, view)
    questions = {answer["question"]: answer["text"] for answer in found["answers"]}
    assert list(questions) == [
        "Is it up?",
        "What is lost?",
        "What will happen?",
        "How old is the copy?",
        "What do I run?",
    ]
    assert questions["Is it up?"].startswith("No: all lost")
    assert questions["How old is the copy?"].startswith("4 min (manager-eu-1a, proven)")
    assert questions["What do I run?"] == "requorum plan"
    assert max(answer["bottom"] for answer in found["answers"]) <= view.height
    assert "manager-eu-1a" in found["drawn"]


@pytest.mark.whole
@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_readable_and_answers_above_the_fold(name: str, view: View, tmp_path: Path) -> None:
    make, sample = PAGES[name]
    page = make(sample())
    found = chromium.measured(page, tmp_path, view)
    require_readable(found, view)
    assert len(found["answers"]) == 5
    assert max(answer["bottom"] for answer in found["answers"]) <= view.height
    assert all(len(answer["text"]) > 5 for answer in found["answers"])
    assert {node.name for node in samples.S.nodes} <= set(found["drawn"])
    require_tables(found, view)
    assert chromium.screenshot(page, tmp_path, view) == (view.width, view.height)


@pytest.mark.whole
@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("name", MONTHS)
def test_a_month_is_readable_and_answers_above_the_fold(name: str, view: View, tmp_path: Path) -> None:
    page = month.page(MONTHS[name]())
    found = chromium.measured(page, tmp_path, view)
    require_readable(found, view)
    assert [answer["question"] for answer in found["answers"]] == [
        "How long had the swarm a quorum?",
        "How long had it none?",
        "How old was the newest copy at most?",
        "Did the drills succeed?",
        "Which recoveries were there?",
    ]
    assert max(answer["bottom"] for answer in found["answers"]) <= view.height
    assert {"1", "5", "25"} <= set(found["drawn"])
    require_tables(found, view)


@pytest.mark.whole
@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("name", samples.LARGE)
def test_many_nodes_and_long_names_are_readable_and_answered_above_the_fold(
    name: str, view: View, tmp_path: Path
) -> None:
    found = chromium.measured(status.page(samples.LARGE[name]()), tmp_path, view)
    require_readable(found, view)
    require_tables(found, view)
    assert max(answer["bottom"] for answer in found["answers"]) <= view.height


def printed(page: str) -> str:
    """A page with the style that it has on paper, which is light in both themes."""
    screen, paper = "@media screen and (prefers-color-scheme: dark)", "@media print"
    assert page.count(screen) == page.count(paper) == 1
    return page.replace(screen, "@media not all").replace(paper, "@media all")


@pytest.mark.whole
@pytest.mark.parametrize("theme", chromium.THEMES)
@pytest.mark.parametrize(("width", "height"), PAPER)
@pytest.mark.parametrize("name", ["healthy", "total loss", "recovery", "month", "many"])
def test_a_page_is_readable_on_paper(name: str, width: int, height: int, theme: str, tmp_path: Path) -> None:
    make, sample = {**PAGES, "month": (month.page, samples.month), "many": (status.page, samples.many)}[name]
    view = View(width, height, theme)
    page = make(sample())
    found = chromium.measured(printed(page), tmp_path, view)
    require_readable(found, view)
    assert found["ground"] == "rgb(255, 255, 255)"
    assert max(answer["bottom"] for answer in found["answers"]) <= height
    file = tmp_path / "page.pdf"
    chromium.run(page, tmp_path, view, f"--print-to-pdf={file}", "--no-pdf-header-footer")
    assert file.read_bytes().startswith(b"%PDF")
    sheets = len(re.findall(rb"/Type /Page\b", file.read_bytes()))
    assert 1 <= sheets <= (6 if name == "many" else 4)


@pytest.mark.whole
@pytest.mark.parametrize("view", VIEWS[1:3], ids=str)
@pytest.mark.parametrize("name", HOSTILE)
def test_what_others_wrote_is_text_and_bursts_nothing(name: str, view: View, tmp_path: Path) -> None:
    page = HOSTILE[name]()
    found = chromium.measured(page, tmp_path, view)
    require_readable(found, view)
    assert "<script>alert(1)</script>" in found["text"]
    assert "{{ 7*7 }}" in found["text"]


@pytest.mark.whole
def test_the_policy_lets_the_style_through_and_no_script(tmp_path: Path) -> None:
    """The page as it is. The browser reports what a policy refuses."""
    page = status.page(samples.healthy())
    said = chromium.run(page, tmp_path, VIEWS[0], "--dump-dom").stderr
    assert "Content Security Policy" not in said
    attack = '<script>document.title="ran"</script><img src="https://evil.example/x"></body>'
    done = chromium.run(page.replace("</body>", attack), tmp_path, VIEWS[0], "--dump-dom")
    assert "Content Security Policy" in done.stderr
    assert "<title>ran" not in done.stdout
    styled = page.replace("<style>", "<style>/* */")
    assert "Content Security Policy" in chromium.run(styled, tmp_path, VIEWS[0], "--dump-dom").stderr
