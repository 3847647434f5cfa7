"""What takes space on the disk of a swarm directory, and may be removed. Nothing is removed here."""

import re
import subprocess
from pathlib import Path

from recovery.swarm.client import DOCKER

WORTH_BYTES = 16 << 20
"""What is smaller is not shown where disk space is wanted."""
COUNT_SECONDS = 3.0
"""For each folder."""
DOCKER_SECONDS = 15.0
"""For Docker's own count. An engine whose raft member has stopped answers it too."""
FOLDERS = (
    ("swarm.before-*", "former swarm directories"),
    ("swarm.saved-*", "safety copies of swarm directories"),
    ("containers/*/*-json.log", "logs of containers: truncate --size 0 {root}/containers/*/*-json.log"),
    ("/var/log", "logs: journalctl --vacuum-size=100M"),
    ("/var/cache/apt", "packages: apt-get clean"),
    ("/var/lib/requorum", "copies that S3 does not have yet"),
)
"""Below the data root, or anywhere, and what removes it."""
DOCKERS_FOLDERS = (
    ("overlay2", "images and layers: docker image prune --all"),
    ("/var/lib/containerd", "images and layers: docker image prune --all"),
    ("buildkit", "the build cache: docker builder prune --all"),
    ("containers", "containers and their logs: docker container prune"),
    ("volumes", "volumes, which may hold the data of services: docker volume ls"),
)
"""What Docker counts better itself, if its engine answers: only a part of it may be removed."""
DOCKERS = {
    "Images": "images that no container uses: docker image prune --all",
    "Containers": "containers that do not run: docker container prune",
    "Local Volumes": "volumes that no container uses, which may hold data: docker volume ls --filter dangling=true",
    "Build Cache": "the build cache: docker builder prune --all",
}
"""What may be removed, by the types of `docker system df`."""
SIZE = re.compile(r"([\d.]+)([kMGT]?)B")
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
"""Docker's units (docker/go-units: HumanSize)."""


def removable(root: str) -> list[str]:
    """What may be removed from the disk of the swarm directory, the largest first, and how. Raises: OSError."""
    disk = Path(root, "swarm").stat().st_dev
    told = reclaimable() if Path(root).stat().st_dev == disk else None
    by_docker: list[tuple[int | None, str]] = [(size, DOCKERS[kind]) for size, kind in told or ()]
    folders = FOLDERS if by_docker else FOLDERS + DOCKERS_FOLDERS
    found = [*by_docker, *((_taken(root, pattern, disk), what.format(root=root)) for pattern, what in folders)]
    uncounted = [f"more than could be counted in {COUNT_SECONDS:g} s of {what}" for size, what in found if size is None]
    large = sorted(((size, what) for size, what in found if size and size >= WORTH_BYTES), reverse=True)
    return uncounted + [f"{size >> 20} MiB of {what}" for size, what in large]


def _taken(root: str, pattern: str, disk: int) -> int | None:
    """Bytes of the files that match, as far as they are on this disk; None where counting takes too long."""
    found = Path(root).glob(pattern) if pattern[0] != "/" else iter([Path(pattern)])
    sizes = [size(str(path), COUNT_SECONDS) for path in found if path.exists() and path.stat().st_dev == disk]
    return None if None in sizes else sum(filter(None, sizes))


def reclaimable(seconds: float | None = None) -> tuple[tuple[int, str], ...] | None:
    """What Docker would give back, by the types of `docker system df`; None if its engine does not answer in time."""
    argv = [*DOCKER, "system", "df", "--format", "{{.Type}}\t{{.Reclaimable}}"]
    try:
        told = subprocess.run(argv, capture_output=True, text=True, timeout=seconds or DOCKER_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if told.returncode:
        return None
    rows = (line.partition("\t") for line in told.stdout.splitlines())
    matches = ((kind, SIZE.match(size)) for kind, _, size in rows if kind in DOCKERS)
    return tuple((int(float(match[1]) * UNITS[match[2]]), kind) for kind, match in matches if match)


def size(path: str, seconds: float) -> int | None:
    """Bytes that a file or folder takes on its disk, 0 if there is none; None where counting takes too long."""
    argv = ("du", "-xsk", path)
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None
    return int(done.stdout.split()[0]) << 10 if done.stdout else 0
