"""Names, zones and roles for nodes that are given without them."""

from collections.abc import Mapping
from typing import Any

from recovery import zones
from recovery.errors import SettingError
from recovery.settings.base import EXAMPLE

ZONES = ("a", "b", "c")
"""Where the stack file names none."""


def placed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, unchecked, with a zone and a name for each node and the role of its group. Raises: SettingError."""
    for key in ("zones", "managers", "workers"):
        if not isinstance(raw.get(key, []), list | tuple):
            raise SettingError(key, "is not a list", remedy=f"give a list; {EXAMPLE} explains it")
    zone_names = [str(zone) for zone in raw.get("zones", ZONES)]
    managers = [dict(m) for m in raw.get("managers", ()) if isinstance(m, Mapping)]
    spread = zones.placement(len(managers), zone_names) if zone_names else ()
    for manager, zone in zip(managers, spread, strict=False):
        manager.setdefault("zone", zone)
    for manager, name in zip(managers, zones.names([m.get("zone", "") for m in managers]), strict=True):
        manager.setdefault("name", name)
        manager.setdefault("availability", "drain")
        manager["role"] = "manager"
    workers = [dict(w) for w in raw.get("workers", ()) if isinstance(w, Mapping)]
    for number, worker in enumerate(workers, 1):
        worker.setdefault("name", f"worker-{number}")
        worker.setdefault("zone", zone_names[(number - 1) % len(zone_names)] if zone_names else "")
        worker["role"] = "worker"
    return {**raw, "managers": managers, "workers": workers}
