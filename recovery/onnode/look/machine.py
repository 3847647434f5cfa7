"""Memory, the certificate of the node, and the size of its raft log."""

import ssl
import time
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
        "wal": output.size(str(raft / "wal-v3-encrypted")),
        "snapshots": output.size(str(raft / "snap-v3-encrypted")),
        **_certificate(Path(root, "swarm/certificates/swarm-node.crt")),
        "clock_unit": _clock_unit(),
    }


def _pressure() -> float:
    try:
        lines = Path("/proc/pressure/memory").read_text().splitlines()
    except OSError:  # the kernel does not count it
        return 0.0
    full = next((line for line in lines if line.startswith("full")), "")
    return float(dict(part.split("=") for part in full.split()[1:]).get("avg60", 0.0))


def _certificate(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    shown = output.of("openssl", "x509", "-noout", "-dates", "-in", str(file))
    dates = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    if not {"notBefore", "notAfter"} <= dates.keys():
        return {}
    begin, end = (ssl.cert_time_to_seconds(dates[key]) for key in ("notBefore", "notAfter"))
    return {"certificate_left": max(0.0, end - time.time()), "certificate_whole": max(0.0, float(end - begin))}


def _clock_unit() -> str:
    """The first of the units that the machine has. systemctl tells of one after the other."""
    told = output.of("systemctl", "show", "--property=LoadState", "--value", *CLOCKS).split()
    return next((unit for unit, state in zip(CLOCKS, told, strict=False) if state == "loaded"), "")
