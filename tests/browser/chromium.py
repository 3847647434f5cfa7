"""A real browser without a window: what it draws of a page, measured in it.

A measuring script stands in for nothing: the page is the product's, but for its policy, which lets no script run. The
policy itself is tested on the page as it is.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any

PROGRAM = "chromium"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr",
)  # fmt: skip
THEMES = {"light": 1, "dark": 0}
SECONDS = 240
"""How long the browser may take on a busy machine."""
MEASURE = Path(__file__).with_name("measure.js")
OUTER = '<!DOCTYPE html><meta charset="utf-8"><meta name="color-scheme" content="light dark"><pre id="measured"></pre>'
"""The page around the page: a window that only prints what it has is never as narrow as a phone."""
POLICY = '<meta http-equiv="Content-Security-Policy"'


@dataclass(frozen=True)
class View:
    """The window of a reader."""

    width: int
    height: int
    theme: str


def require() -> None:
    """Install the browser, if this machine lacks it."""
    if not shutil.which(PROGRAM):
        subprocess.run([Path(__file__).parents[2] / "lab/packages-installed", PROGRAM], check=True)


def run(page: str, folder: Path, view: View, *flags: str) -> subprocess.CompletedProcess[str]:
    """What the browser says of a page. It starts as new."""
    (file := folder / "page.html").write_text(page)
    window = (
        f"--window-size={view.width},{view.height}",
        f"--blink-settings=preferredColorScheme={THEMES[view.theme]}",
    )
    argv = [PROGRAM, *FLAGS, f"--user-data-dir={folder / 'profile'}", *window, *flags, file.as_uri()]
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(
        argv, env=environment, capture_output=True, text=True, check=True, timeout=SECONDS, errors="replace"
    )
    shutil.rmtree(folder / "profile", ignore_errors=True)
    return done


def measured(page: str, folder: Path, view: View) -> dict[str, Any]:
    """What the browser draws of the page: rectangles, texts, contrasts."""
    before, policy, after = page.partition(POLICY)
    assert policy
    script = f"<script>{MEASURE.read_text()}</script></body>"
    inner = escape((before + after.partition(">")[2]).replace("</body>", script))
    frame = f'<iframe width="{view.width}" height="{view.height}" srcdoc="{inner}"></iframe>'
    dom = run(OUTER + frame, folder, view, "--dump-dom").stdout
    found: dict[str, Any] = json.loads(unescape(dom.partition('<pre id="measured">')[2].partition("</pre>")[0]))
    return found


def screenshot(page: str, folder: Path, view: View) -> tuple[int, int]:
    """Draw the page into `page.png`; the width and the height of the picture."""
    picture = folder / "page.png"
    run(page, folder, view, f"--screenshot={picture}")
    header = picture.read_bytes()[:24]
    assert header[1:4] == b"PNG"
    return int.from_bytes(header[16:20]), int.from_bytes(header[20:24])
