"""The site of `make docs` in a real browser: opened as a file, without a network, with its search."""

import json
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from manual.site import ROOT, SITE, pages
from tests.browser import chromium
from tests.browser.chromium import View

SEARCH = Path(__file__).with_name("search.js").read_text()
LOADED = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)")
VIEW = View(1280, 900, "light")
pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def site() -> Path:
    chromium.require()
    subprocess.run([sys.executable, "-m", "manual", "site"], cwd=ROOT, check=True)
    return SITE


def test_every_page_is_there_and_loads_nothing_from_elsewhere(site: Path) -> None:
    made = list(site.rglob("*.html"))
    assert len(made) >= len(pages())
    assert {address for page in made for address in LOADED.findall(page.read_text())} == set()
    styles = [style.read_text() for style in site.rglob("*.css")]
    assert styles
    assert [found for style in styles for found in re.findall(r"url\([\"']?(?:https?:)?//[^)]+", style)] == []


MEASURE = """<script>addEventListener("load", () => {
  const width = innerWidth, page = document.documentElement.scrollWidth;
  const pictures = [...document.images].filter((one) => one.src.endsWith(".svg")).map((one) => one.getBoundingClientRect().width);
  parent.document.getElementById("measured").textContent = JSON.stringify({ width, page, pictures });
})</script>"""


@pytest.mark.parametrize("page", ["index.html", "docs/concepts/fencing.html"])
def test_a_picture_on_a_phone_is_large_enough_and_the_page_is_not_moved(page: str, site: Path, tmp_path: Path) -> None:
    """A picture that was as narrow as the phone would have letters of six pixels."""
    shutil.copytree(site, folder := tmp_path / "site")
    file = folder / page
    file.write_text(file.read_text().replace("<head>", f"<head>{MEASURE}", 1))
    outer = f'{chromium.OUTER}<iframe width="390" height="844" src="site/{page}"></iframe>'
    flags = ("--allow-file-access-from-files", "--virtual-time-budget=20000", "--dump-dom")
    dom = chromium.run(outer, tmp_path, VIEW, *flags).stdout
    found = json.loads(unescape(dom.partition('<pre id="measured">')[2].partition("</pre>")[0]))
    assert found["page"] <= found["width"] <= 390
    assert found["pictures"]
    assert min(found["pictures"]) > 650


@pytest.mark.parametrize(
    ("word", "place"), [("fence", "runbooks/silent-host.html"), ("graceHours", "reference/settings.html")]
)
def test_the_search_finds_a_word_without_a_server(word: str, place: str, site: Path, tmp_path: Path) -> None:
    probe = f"<script>{SEARCH.replace('WORD', word)}</script>"
    page = (site / "index.html").read_text().replace("<head>", f"<head>{probe}", 1)
    shutil.copytree(site, folder := tmp_path / "site")
    dom = chromium.run(page, folder, VIEW, "--virtual-time-budget=20000", "--dump-dom").stdout
    found = json.loads(unescape(dom.partition('<pre id="found">')[2].partition("</pre>")[0]))
    assert any(place in link for link in found), found
