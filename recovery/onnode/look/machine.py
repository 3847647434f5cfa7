"""Memory, the clock, and the size of the raft log."""

import os
from pathlib import Path
from typing import Any

from recovery.onnode.look import output

CLOCKS = (
    "chrony.service",
    "chronyd.service",
    "systemd-timesyncd.service",
    "ntpsec.service",
    "ntp.service",
    "ntpd.service",
)
"""The units that keep a clock right, as Debian, Fedora and SUSE call them."""


def look(root: str) -> dict[str, Any]:
    """What /proc and the swarm directory tell."""
    memory = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        key, _, value = line.partition(":")
        memory[key] = int(value.split()[0]) << 10
    raft = Path(root, "swarm", "raft")
    return {
        "memory": memory.get("MemTotal", 0),
        "available": memory.get("MemAvailable", 0),
        "swap": memory.get("SwapTotal", 0),
        "swapped": memory.get("SwapTotal", 0) - memory.get("SwapFree", 0),
        "pressure": _pressure(),
        "wal": _size(raft / "wal-v3-encrypted"),
        "snapshots": _size(raft / "snap-v3-encrypted"),
        "clock_unit": _clock_unit(),
    }


def _pressure() -> float:
    try:
        lines = Path("/proc/pressure/memory").read_text().splitlines()
    except OSError:  # the kernel does not count it
        return 0.0
    full = next((line for line in lines if line.startswith("full")), "")
    return float(dict(part.split("=") for part in full.split()[1:]).get("avg60", 0.0))


def _size(folder: Path) -> int:
    """Bytes that the files of a folder take on the disk."""
    try:
        with os.scandir(folder) as files:
            return sum(one.stat(follow_symlinks=False).st_blocks * 512 for one in files)
    except OSError:  # there is none, or a file has just gone
        return 0


def _clock_unit() -> str:
    """The first of the units that the machine has. systemctl tells of one after the other."""
    told = output.of("systemctl", "show", "--property=LoadState", "--value", *CLOCKS).split()
    return next((unit for unit, state in zip(CLOCKS, told, strict=False) if state == "loaded"), "")
