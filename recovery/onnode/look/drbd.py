"""What DRBD tells, in its own words."""

from pathlib import Path
from typing import Any

from recovery.onnode.look import output

MOST = 1 << 16
"""Characters of an answer. That of a hundred resources has half of it."""


def look() -> dict[str, Any] | None:
    """What version 8 or 9 tells; None without DRBD."""
    try:
        proc = Path("/proc/drbd").read_text()[:MOST]
    except OSError:
        return None
    status = "" if "cs:" in proc else output.of("drbdsetup", "status", "--json")
    names = {}
    for path in sorted(Path("/dev/drbd/by-res").glob("*/*")) or sorted(Path("/dev/drbd/by-res").glob("*")):
        resource = path.parent.name if path.parent.name != "by-res" else path.name
        names[path.resolve().name.removeprefix("drbd")] = resource
    return {"proc": proc, "status": status[:MOST] if len(status) <= MOST else "", "names": names}
