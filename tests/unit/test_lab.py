"""The parts of the laboratory that need none."""

from pathlib import Path

import pytest
import yaml

from lab import packages
from lab.errors import LabError
from lab.instance import Instance
from lab.stack import Stack, settings
from recovery.settings import load

SOURCES = """# a comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://other.example/tools
Suites: stable
Components: main
Signed-By: /usr/share/keyrings/other.gpg
"""


def test_the_machines_own_debian_sources_serve_another_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUORUM_APT_SOURCES", raising=False)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(SOURCES)
    found = packages.sources("trixie", tmp_path)
    assert "Suites: trixie trixie-updates" in found
    assert "other.example" not in found


def test_a_machine_without_debian_sources_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUORUM_APT_SOURCES", raising=False)
    with pytest.raises(LabError, match="debian-archive keyring"):
        packages.sources("bookworm", tmp_path)


@pytest.mark.parametrize("octet", [0, 169, 255])
def test_octets_that_no_lab_can_have_are_refused(octet: int, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="not usable"):
        Instance(octet, tmp_path)


@pytest.mark.parametrize("managers", [3, 5, 7, 9])
def test_the_labs_stack_file_passes_the_products_own_check(tmp_path: Path, managers: int) -> None:
    stack = Stack(Instance(80, tmp_path), "x", tmp_path / "Pulumi.x.yaml")
    stack.file.write_text("encryptionsalt: kept\n")
    stack.write(settings(stack.instance, managers=managers, workers=20))
    made = load(stack.file)
    assert (len(made.managers), len(made.workers)) == (managers, 20)
    assert yaml.safe_load(stack.file.read_text())["encryptionsalt"] == "kept"


def test_a_command_that_does_not_end_says_how_far_it_came(tmp_path: Path) -> None:
    stack = Stack(Instance(80, tmp_path), "x", tmp_path / "Pulumi.x.yaml")
    with pytest.raises(LabError, match=r"no end within 1 s; it said:\nhalf\nand a word"):
        stack._run(["sh", "-c", "echo half; echo and a word >&2; exec sleep 60"], timeout=1)
