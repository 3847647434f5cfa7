"""How much of the disks is free, and what takes the space where little is."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recovery.onnode import api, space
from recovery.onnode.look import layers
from recovery.swarm.limits import is_low, lacks_inodes

MOST = 8
"""The largest of each kind that are told."""
MOST_VOLUMES = 200
COUNT_SECONDS, ONE_SECONDS = 4.0, 1.5
"""For all of a disk, and for one thing on it."""
Disk = tuple[int, int]
"""The device and its blocks. A volume with a quota has blocks of its own on the device of others."""
FOLDERS = ("/", "/var", "/var/log", "/var/lib/containerd", "/var/lib/requorum", "/srv")
IN_ROOT = ("", "containers", "volumes", "overlay2", "swarm")
WORTH_BYTES = 1 << 20
"""What is smaller is not told."""
LOGS = ("containers/*/*-json.log*", "containers/*/local-logs/*")
"""What the engine's own drivers write, also what they have rotated (json-file, local)."""
SYSTEM = (
    ("journal", "/var/log/journal"),
    ("logs", "/var/log"),
    ("packages", "/var/cache/apt"),
    ("spool", "/var/lib/requorum"),
    ("cores", "/var/lib/systemd/coredump"),
    ("files", "/home"),
    ("files", "/root"),
    ("files", "/tmp"),  # noqa: S108 - it is only counted
    ("files", "/var/tmp"),  # noqa: S108
)
BY_TYPE = {
    "Images": "images",
    "Containers": "stopped containers",
    "Local Volumes": "volumes",
    "Build Cache": "build cache",
}
"""The kinds by the types of `docker system df`."""


def look(root: str, engine: Path) -> list[dict[str, Any]]:
    """Every disk that Docker or the system uses, and each volume that is a file system or has a quota of its own."""
    found: dict[Disk, dict[str, Any]] = {}
    for path in (*map(Path, FOLDERS), *(Path(root, part) for part in IN_ROOT)):
        _note(found, path)
    shared = {*found}
    volumes = sorted(Path(root, "volumes").glob("*/_data"))[:MOST_VOLUMES]
    for path in volumes:
        _note(found, path, volume=path.parent.name)
    for disk, known in found.items():
        if not (is_low(known["size"], known["free"]) or lacks_inodes(known["inodes"], known["inodes_free"])):
            continue
        if disk in shared:
            takes = sorted(Counting(root, engine, disk[0]).takes(), key=lambda one: -int(one["size"]))
            worth = [one for one in takes if one["size"] >= WORTH_BYTES]
            known["takes"] = worth[: 4 * MOST] + [one for one in takes if not one.get("counted", True)][:MOST]
        else:
            known["options"] = _options(engine, known["volume"])
    return list(found.values())


def _note(found: dict[Disk, dict[str, Any]], path: Path, **more: str) -> None:
    try:
        device, told = path.stat().st_dev, os.statvfs(path)
    except OSError:
        return
    known = {
        "path": str(path),
        "size": told.f_blocks * told.f_frsize,
        "free": told.f_bavail * told.f_frsize,
        "inodes": told.f_files,
        "inodes_free": told.f_favail,
        **more,
    }
    found.setdefault((device, told.f_blocks), known)


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
        """What lies on the disk and takes space, also what takes too long to count."""
        yield from self._logs()
        if self._is_here(self._root / "overlay2") or self._is_here(Path("/var/lib/containerd")):
            yield from self._dockers()
        for kind, pattern in (("former", "swarm.before-*"), ("saved", "swarm.saved-*")):
            for path in self._root.glob(pattern):
                yield self._taking(kind, path, path.name)
        yield from self._in_containers()
        for kind, folder in SYSTEM:
            yield self._taking(kind, Path(folder), folder)

    def _logs(self) -> Iterator[dict[str, Any]]:
        logs = []
        for path in (one for pattern in LOGS for one in self._root.glob(pattern)):
            if self._is_here(path):
                logs.append((path.stat().st_blocks * 512, str(path)))
        yield from ({"kind": "log", "size": size, "of": path} for size, path in sorted(logs, reverse=True)[:MOST])

    def _dockers(self) -> Iterator[dict[str, Any]]:
        counted = space.reclaimable(COUNT_SECONDS / 2)
        if counted is None:
            yield from ({"kind": kind, "size": 0, "counted": False} for kind in ("images", "build cache"))
        for size, kind in counted or ():
            yield {"kind": BY_TYPE[kind], "size": size}

    def _in_containers(self) -> Iterator[dict[str, Any]]:
        """The writable layers of running containers, and the volumes, those of a registry by themselves."""
        try:
            running, registries = layers.running(self._engine), layers.registries(self._engine)
        except (OSError, api.Refused):
            running, registries = (), frozenset()
        for one in running:
            yield self._taking("layer", Path(one.folder), one.name)
        for path in sorted((self._root / "volumes").glob("*/_data")):
            name = path.parent.name
            yield self._taking("registry" if name in registries else "volume", path, name)

    def _taking(self, kind: str, path: Path, of: str = "") -> dict[str, Any]:
        if not self._is_here(path):
            return {"kind": kind, "size": 0, "of": of}
        left = self._end - time.monotonic()
        size = space.size(str(path), min(left, ONE_SECONDS)) if left > 0 else None
        return {"kind": kind, "size": size or 0, "of": of, "counted": size is not None}

    def _is_here(self, path: Path) -> bool:
        try:
            return path.stat().st_dev == self._disk
        except OSError:
            return False
