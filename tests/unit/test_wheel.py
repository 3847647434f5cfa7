"""The command line as a package: it has all that it needs, and works from any folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from recovery.s3.keys import RELEASE

PROJECT = Path(__file__).parents[2]
PARTS = ("recovery", "components")
GENERATED = shutil.ignore_patterns("__pycache__", "*.pyc")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources, so that nothing is left among them."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "requirements.in"):
        shutil.copy(PROJECT / name, copy)
    for name in PARTS:
        shutil.copytree(PROJECT / name, copy / name, ignore=GENERATED)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--wheel-dir", copy, copy], check=True)
    (made,) = copy.glob("requorum-*.whl")
    return made


def test_it_holds_every_file_of_the_program_and_needs_what_the_requirements_say(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        (metadata,) = (name for name in held if name.endswith("METADATA"))
        told = archive.read(metadata).decode()
    sources = {
        str(path.relative_to(PROJECT))
        for part in PARTS
        for path in (PROJECT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= held
    wanted = {line for line in (PROJECT / "requirements.in").read_text().splitlines() if line and line[0] != "#"}
    assert {line.removeprefix("Requires-Dist: ") for line in told.splitlines() if "Requires-Dist" in line} == wanted


def test_the_command_works_from_any_folder(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", site, wheel], check=True)
    away = tmp_path / "away"
    away.mkdir()

    def requorum(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, str(site / "bin/requorum"), *arguments]
        return subprocess.run(
            argv, cwd=away, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
        )

    assert requorum("--version").stdout == f"requorum {RELEASE}\n"
    (away / "swarm.yaml").write_text("config: {requorum:cluster: x}\n")
    refused = requorum("status", "--config-file", "swarm.yaml")
    assert refused.returncode == 2
    assert "requorum:managers" in refused.stderr
    assert str(PROJECT) not in refused.stderr
