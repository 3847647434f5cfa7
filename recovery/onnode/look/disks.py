"""How much of the disks is free, and what takes the space where little is."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recovery.onnode import api, space
from recovery.onnode.look import layers, output
from recovery.swarm.limits import is_low

MOST = 8
"""The largest of each kind that are told."""
MOST_VOLUMES = 200
COUNT_SECONDS = 4.0
FOLDERS = ("/", "/var", "/var/log", "/var/lib/containerd", "/var/lib/requorum", "/srv")
IN_ROOT = ("", "containers", "volumes", "overlay2", "swarm")
WORTH_BYTES = 1 << 20
"""What is smaller is not told."""
BY_TYPE = {
    "Images": "images",
    "Containers": "stopped containers",
    "Local Volumes": "volumes",
    "Build Cache": "build cache",
}
"""The kinds by the types of `docker system df`."""


def look(root: str, engine: Path) -> list[dict[str, Any]]:
    """Every disk that Docker or the system uses, and each mounted volume that is a file system of its own."""
    found: dict[int, dict[str, Any]] = {}
    for path in (*map(Path, FOLDERS), *(Path(root, part) for part in IN_ROOT)):
        _note(found, path)
    shared = {*found}
    volumes = sorted(Path(root, "volumes").glob("*/_data"))[:MOST_VOLUMES]
    for path in volumes:
        _note(found, path, volume=path.parent.name)
    for disk, known in found.items():
        if not is_low(known["size"], known["free"]):
            continue
        if disk in shared:
            takes = sorted(Counting(root, engine, disk).takes(), key=lambda one: -int(one["size"]))
            known["takes"] = [one for one in takes if one["size"] >= WORTH_BYTES][: 4 * MOST]
        else:
            known["options"] = _options(engine, known["volume"])
    return list(found.values())


def _note(found: dict[int, dict[str, Any]], path: Path, **more: str) -> None:
    try:
        disk, told = path.stat().st_dev, os.statvfs(path)
    except OSError:
        return
    known = {"path": str(path), "size": told.f_blocks * told.f_frsize, "free": told.f_bavail * told.f_frsize, **more}
    found.setdefault(disk, known)


def _options(engine: Path, volume: str) -> dict[str, str]:
    try:
        told = api.ask(engine, "GET", f"/volumes/{volume}")
    except (OSError, api.Refused):
        return {}
    return {str(key): str(value) for key, value in ((told or {}).get("Options") or {}).items()}


class Counting:
    """What takes space on one disk, counted within `COUNT_SECONDS`."""

    def __init__(self, root: str, engine: Path, disk: int) -> None:
        self._root, self._engine, self._disk = Path(root), engine, disk
        self._end = time.monotonic() + COUNT_SECONDS

    def takes(self) -> Iterator[dict[str, Any]]:
        """What lies on the disk and takes space. What takes too long to count is left out."""
        yield from self._logs()
        for kind, folder in (
            ("journal", "/var/log/journal"),
            ("packages", "/var/cache/apt"),
            ("spool", "/var/lib/requorum"),
        ):
            yield {"kind": kind, "size": self._size(Path(folder))}
        if self._is_here(self._root / "overlay2") or self._is_here(Path("/var/lib/containerd")):
            for size, kind in space.reclaimable(COUNT_SECONDS / 2):
                yield {"kind": BY_TYPE[kind], "size": size}
        for kind, pattern in (("former", "swarm.before-*"), ("saved", "swarm.saved-*")):
            yield {"kind": kind, "size": sum(map(self._size, self._root.glob(pattern)))}
        yield from self._in_containers()

    def _logs(self) -> Iterator[dict[str, Any]]:
        logs = []
        for path in self._root.glob("containers/*/*-json.log"):
            if self._is_here(path):
                logs.append((path.stat().st_blocks * 512, str(path)))
        yield from ({"kind": "log", "size": size, "of": path} for size, path in sorted(logs, reverse=True)[:MOST])

    def _in_containers(self) -> Iterator[dict[str, Any]]:
        """The writable layers of running containers, and the volumes, those of a registry by themselves."""
        try:
            running, registries = layers.running(self._engine), layers.registries(self._engine)
        except (OSError, api.Refused):
            running, registries = (), frozenset()
        for one in running:
            yield {"kind": "layer", "size": self._size(Path(one.folder)), "of": one.name}
        for path in sorted((self._root / "volumes").glob("*/_data")):
            kind = "registry" if path.parent.name in registries else "volume"
            yield {"kind": kind, "size": self._size(path), "of": path.parent.name}

    def _size(self, path: Path) -> int:
        left = self._end - time.monotonic()
        return output.size(str(path), min(left, 1.5)) if left > 0 and self._is_here(path) else 0

    def _is_here(self, path: Path) -> bool:
        try:
            return path.stat().st_dev == self._disk
        except OSError:
            return False
