"""The writable layers of running containers: how large they are, and whether they grow."""

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from recovery.onnode import api, space
from recovery.swarm.limits import outgrows

SERVICE = "com.docker.swarm.service.name"
"""The label that the engine gives a task's container (swarmkit, agent/exec/dockerapi)."""
WAIT_SECONDS = 2.0
"""Between the two counts that tell whether a layer grows."""
COUNT_SECONDS = 1.5
MOST_CONTAINERS = 200
FILES = 5
UPPER = re.compile(r"^\S+ \S+ \S+ / / .* - overlay .*[ ,]upperdir=([^, ]+)", re.M)
"""The file system at / of a container (proc_pid_mountinfo(5))."""
REGISTRY = re.compile(r"(?:^|/)registry(?:[:@]|$)")
"""The image of a registry, wherever it comes from."""


class Running(NamedTuple):
    """A running container with the folder of its writable layer."""

    container: str
    name: str
    service: str
    folder: str


def look(engine: Path) -> list[dict[str, Any]]:
    """The layers that are large or grow, the largest first, then those that could not be counted in time."""
    begun = [(one, space.size(one.folder, COUNT_SECONDS), time.monotonic()) for one in running(engine)]
    time.sleep(WAIT_SECONDS if begun else 0)
    found, uncounted = [], []
    for one, before, at in begun:
        size, seconds = space.size(one.folder, COUNT_SECONDS), time.monotonic() - at
        if before is None or size is None:
            uncounted.append({**one._asdict(), "size": 0, "grew": 0, "seconds": seconds, "counted": False})
            continue
        grew = max(0, size - before) if before else 0
        if outgrows(size, grew, seconds):
            found.append({**one._asdict(), "size": size, "grew": grew, "seconds": seconds})
    largest = sorted(found, key=lambda one: -int(one["size"]))[:FILES]
    return [{**one, "files": _largest(one["folder"])} for one in largest] + uncounted


def running(engine: Path) -> tuple[Running, ...]:
    """Every running container that has a writable layer in a folder. Raises: OSError; api.Refused."""
    found = []
    for listed in (api.ask(engine, "GET", "/containers/json") or [])[:MOST_CONTAINERS]:
        try:
            told = api.ask(engine, "GET", f"/containers/{listed['Id']}/json")
        except api.Refused:
            continue  # it has ended
        named = ((told.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir")
        if folder := named or _mounted((told.get("State") or {}).get("Pid")):
            labels = (told.get("Config") or {}).get("Labels") or {}
            found.append(Running(listed["Id"], told["Name"].strip("/"), labels.get(SERVICE, ""), folder))
    return tuple(found)


def _mounted(pid: int | None) -> str:
    """The folder as the kernel tells it, where the engine tells none because containerd has its images."""
    try:
        mounts = Path(f"/proc/{pid}/mountinfo").read_text()
    except OSError:
        return ""
    found = UPPER.search(mounts)
    return found[1] if found else ""


def registries(engine: Path) -> frozenset[str]:
    """The names of the volumes of running registries. Raises: OSError; api.Refused."""
    listed = api.ask(engine, "GET", "/containers/json") or []
    of_registries = (one for one in listed if REGISTRY.search(one.get("Image", "")))
    return frozenset(
        str(mount.get("Name")) for one in of_registries for mount in one.get("Mounts") or () if mount.get("Name")
    )


def _largest(folder: str) -> list[dict[str, Any]]:
    """The largest files of a layer, by their paths in the container."""
    sizes = []
    end = time.monotonic() + COUNT_SECONDS
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            with suppress(OSError):
                sizes.append((path.lstat().st_blocks * 512, str(path.relative_to(folder))))
        if time.monotonic() > end:
            break
    return [{"path": f"/{path}", "size": size} for size, path in sorted(sizes, reverse=True)[:FILES]]
