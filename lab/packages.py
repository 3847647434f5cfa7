"""Finds the sources of this machine's Debian packages, also for another suite.

The module names no mirror. The lab builds the node image from the machine's own sources.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab.errors import LabError

_LISTS = Path("/etc/apt")
_DOING = "finding the Debian mirror of this machine"
_PASSED_ON = ("Acquire::Check-Valid-Until", "Acquire::Check-Date", "Acquire::http", "Acquire::https")
"""The settings with which this machine's apt reaches its mirror. mmdebstrap does not read them by itself."""


def sources(suite: str, folder: Path = _LISTS) -> str:
    """Return the machine's Debian sources in deb822 form, with ``suite`` in place of the machine's suite.

    REQUORUM_APT_SOURCES names a deb822 file to use instead. Raises: LabError if no Debian source exists (signed by a
    debian-archive keyring).
    """
    chosen = os.environ.get("REQUORUM_APT_SOURCES")
    if chosen:
        stanzas = list(_stanzas(Path(chosen)))
    else:
        files = sorted((folder / "sources.list.d").glob("*.sources"))
        stanzas = [stanza for file in files for stanza in _stanzas(file)]
        stanzas = [stanza for stanza in stanzas if "debian-archive" in stanza]
        stanzas = stanzas or list(_one_line_sources(folder))
    if not stanzas:
        raise LabError(
            _DOING,
            f"no file under {folder} names one signed by the debian-archive keyring",
            "Write a deb822 file with a Debian source and give its path as REQUORUM_APT_SOURCES",
        )
    present = _own_suite(stanzas)
    return "\n\n".join(_with_suite(stanza, present, suite) for stanza in stanzas) + "\n"


def apt_options() -> list[str]:
    """The machine's apt settings for reaching its mirror, as lines of apt.conf."""
    dump = subprocess.run(["apt-config", "dump", *_PASSED_ON], capture_output=True, text=True, check=True)
    return [line for line in dump.stdout.splitlines() if ' "";' not in line]


def _stanzas(file: Path) -> Iterator[str]:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        if re.search(r"^Types:.*\bdeb\b", stanza, re.M) and not re.search(r"^Enabled:\s*no", stanza, re.M | re.I):
            yield stanza.strip()


def _one_line_sources(folder: Path) -> Iterator[str]:
    for file in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]:
        if not file.exists():
            continue
        for line in file.read_text().splitlines():
            match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S*debian\S*)\s+(\S+)\s+(.+)", line)
            if match:
                address, suite, components = match.groups()
                yield f"Types: deb\nURIs: {address}\nSuites: {suite}\nComponents: {components}"


def _own_suite(stanzas: list[str]) -> str:
    match = re.search(r"^Suites:\s*([a-z]+)", "\n".join(stanzas), re.M)
    if match is None:
        raise LabError(_DOING, "its sources name no suite", "Check the Suites: lines of apt")
    return match.group(1)


def _with_suite(stanza: str, own: str, wanted: str) -> str:
    return re.sub(r"^Suites:.*$", lambda line: re.sub(rf"\b{own}\b", wanted, line.group()), stanza, flags=re.M)
