"""The site: README, docs/ and the pages around them, with search inside. It needs no network, neither to be built nor to be read."""

import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent
SITE = ROOT / "site"
CONFIG = "zensical.toml"
BESIDE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "lab/README.md", "toolchain/README.md")
FOLDER = re.compile(r'"(docs/[\w/]+/)"')
"""A folder in the navigation."""
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)(?:#[^)\s]*)?\)")


def pages() -> list[Path]:
    """Every page of the site."""
    return [
        *(ROOT / name for name in BESIDE),
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "examples").glob("*/README.md")),
    ]


def files() -> set[Path]:
    """Every page, and every other file of the project that a page links or shows."""
    linked = {target for page in pages() for target in links(page) if target.is_file()}
    return {*pages(), *linked}


def links(page: Path) -> Iterator[Path]:
    """The files and folders of the project that a page links."""
    return ((page.parent / name).resolve() for name in LINK.findall(page.read_text()))


def config() -> str:
    """The configuration of the site, with the pages of a folder in its place."""
    return FOLDER.sub(lambda found: ", ".join(f'"{name}"' for name in _inside(found[1])), (HERE / CONFIG).read_text())


def _inside(folder: str) -> list[str]:
    """The pages of a folder, its README first."""
    found = sorted((ROOT / folder).glob("*.md"), key=lambda page: (page.name != "README.md", page.name))
    return [str(page.relative_to(ROOT)) for page in found]


def listed() -> list[str]:
    """The pages that the navigation names, in its order."""
    return list(_leaves(tomllib.loads(config())["project"]["nav"]))


def _leaves(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, list | dict):
        for one in entry.values() if isinstance(entry, dict) else entry:
            yield from _leaves(one)


def build() -> int:
    """Build the site into `site/`; the exit status. Any warning is an error."""
    made = subprocess.run(
        [ROOT / "toolchain/environment", "manual"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)
        for file in files():
            (copy := stage / "pages" / file.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        shutil.copytree(HERE / "assets", stage / "pages/assets/manual")
        (stage / CONFIG).write_text(config())
        done = subprocess.run([f"{made}/bin/zensical", "build", "--clean", "--strict"], cwd=stage, check=False)
        if done.returncode == 0:
            shutil.rmtree(SITE, ignore_errors=True)
            shutil.move(stage / "site", SITE)
            print(f"the site is in {SITE}: open {SITE / 'index.html'} in a browser")
    return done.returncode
