"""The systemd units that failed."""

from typing import Any

from recovery.onnode.look import output

MOST = 20


def look() -> list[dict[str, Any]]:
    """Every failed unit, with its result and the end of its journal."""
    told = output.of("systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full")
    names = [line.split()[0] for line in told.splitlines() if line.split()]
    return [_unit(name) for name in names[:MOST]]


def _unit(name: str) -> dict[str, Any]:
    shown = output.of("systemctl", "show", "--property=Result,ExecMainStatus", name)
    told = dict(line.partition("=")[::2] for line in shown.splitlines())
    status = told.get("ExecMainStatus", "")
    why = told.get("Result", "") + (f", exit status {status}" if status not in ("", "0") else "")
    journal = output.of("journalctl", "-u", name, "-n", "5", "--no-pager", "-o", "cat")
    return {"name": name, "why": why, "lines": output.last(journal)}
