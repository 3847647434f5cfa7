"""Several releases of the Docker engine on one node, and the command that changes from one to another."""

import os
import subprocess
import tarfile
from pathlib import Path

from lab import image
from lab.instance import Instance, cache_folder

FOLDER = "/opt/engines"
PROGRAMS = frozenset({"dockerd", "docker-proxy", "docker-init", "containerd", "containerd-shim-runc-v2", "runc"})
LIBRARY = "libdevmapper.so"
"""The only library of an older release that the image of the newest one lacks."""
INSTALL = (
    "set -e; systemctl stop docker.socket docker containerd; "
    f"cp -a --remove-destination {FOLDER}/%s/. /; systemctl start containerd docker"
)
"""The line for the shell that an operator has in the stack file. It keeps the engine's data."""
ANEW = "systemctl stop docker.socket docker containerd; rm -rf /var/lib/docker/* /var/lib/containerd/*; "


def programs(version: str) -> Path:
    """A tar file with the engine's programs of a release, from the image of its nodes. The cache keeps it."""
    wanted = cache_folder() / "engines" / f"{image.recipe_hash(version)}.tar"
    if wanted.exists():
        return wanted
    wanted.parent.mkdir(parents=True, exist_ok=True)
    unfinished = wanted.with_suffix(f".{os.getpid()}")
    with tarfile.open(image.archive(version)) as source, tarfile.open(unfinished, "w") as target:
        for member in source:
            path = Path(member.name)
            ours = path.name in PROGRAMS and path.parent.name in ("bin", "sbin")
            if (ours or path.name.startswith(LIBRARY)) and not member.isdir():
                target.addfile(member, source.extractfile(member) if member.isfile() else None)
    unfinished.rename(wanted)
    return wanted


def provide(lab: Instance, node: str, version: str, archive: Path) -> None:
    """Lay a release's programs on a node, next to those that run."""
    there = f"{FOLDER}/{version}"
    enter = ["docker", "-H", lab.docker_host, "exec", "-i", node]
    subprocess.run([*enter, "mkdir", "-p", there], check=True)
    with archive.open("rb") as source:
        subprocess.run([*enter, "tar", "-x", "-C", there], stdin=source, check=True)


def start_with(lab: Instance, node: str, version: str) -> None:
    """Have a node begin with a release, and without any data."""
    line = ANEW + INSTALL % version
    subprocess.run(["docker", "-H", lab.docker_host, "exec", node, "sh", "-c", line], check=True)
