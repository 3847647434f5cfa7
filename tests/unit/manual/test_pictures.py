"""The pictures of the concepts: they are whole, nothing bursts a box, and a page shows each."""

from textwrap import wrap
from xml.etree import ElementTree

import pytest

from manual.pictures import LETTERS, PICTURES, svg
from manual.reference import DOCS


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_whole_and_fits(name: str) -> None:
    shown = PICTURES[name]
    made = svg(shown)
    ElementTree.fromstring(made)
    assert "http" not in made.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme:dark" in made
    for box in shown.boxes:
        assert len(wrap(box.about, LETTERS)) <= 2
        assert len(box.name) <= LETTERS - 4
    places = {box.name: (box.column, box.row) for box in shown.boxes}
    assert len(set(places.values())) == len(shown.boxes)
    for arrow in shown.arrows:
        across, down = (abs(a - b) for a, b in zip(places[arrow.begin], places[arrow.end], strict=True))
        assert (across, down) in ((1, 0), (0, 1)), arrow


@pytest.mark.parametrize("name", PICTURES)
def test_a_page_shows_it(name: str) -> None:
    page = (DOCS / f"concepts/{name}.md").read_text()
    assert f"]({name}.svg)" in page
