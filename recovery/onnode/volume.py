"""Reads and replaces the files of a volume on the node. The image of the service needs no tool."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recovery.swarm.client import DOCKER

NEW, OLD = ".requorum-new", ".requorum-old"
"""Folders on the volume's own file system, so that files are moved and not copied."""
FILES = "_data"
"""The folder that containers mount of a volume of the engine. No container reaches the folder above it (moby, volume/local)."""
FINE = (0, 1)
"""Exit statuses of tar without an error. tar exits with 1 if a file changed while tar read it."""
KEPT = ("--sparse", "--numeric-owner", "--xattrs", "--acls")


class Unusable(Exception):
    """The container does not mount the volume, or its files end with the container."""


def folder(container: str, name: str) -> Path:
    """Return the folder on the node of a volume that the container mounts. Raises: Unusable; OSError."""
    argv = [*DOCKER, "inspect", "--format", "{{json .Mounts}}", container]
    done = subprocess.run(argv, capture_output=True)
    if done.returncode:
        raise Unusable(done.stderr.decode(errors="replace").strip())
    mounts = {mount["Name"]: mount["Source"] for mount in json.loads(done.stdout) if mount["Type"] == "volume"}
    if name not in mounts:
        known = f"of the volumes {', '.join(sorted(mounts))} only" if mounts else "of no volume"
        raise Unusable(f"its container makes use {known}, not of {name}")
    found = Path(mounts[name])
    if in_memory(found):
        raise Unusable(f"its volume {name} lies in memory (tmpfs), and is empty after each restart of its container")
    return found


def in_memory(place: Path) -> bool:
    """Whether a file system of memory is mounted there, whose files are gone when it is unmounted. Raises: OSError."""
    if not os.path.ismount(place):
        return False
    done = subprocess.run(["stat", "-f", "-c", "%T", str(place)], capture_output=True, text=True)
    return done.stdout.strip() in ("tmpfs", "ramfs")


def pack(source: Path) -> list[str]:
    """The command that writes all files of a folder to standard output."""
    return ["tar", *KEPT, f"--exclude=./{NEW}", f"--exclude=./{OLD}", "-C", str(source), "-cf", "-", "."]


def unpack(target: Path) -> list[str]:
    """The command that reads files from standard input into a folder."""
    return ["tar", *KEPT, "--same-permissions", "--same-owner", "-C", str(target), "-xf", "-"]


@contextmanager
def aside(name: str, source: Path) -> Iterator[Path]:
    """The folder in which a volume's new files wait, for the duration of the context. They are in `NEW` in it.

    A container could put a link in the place of a folder that it reaches, and files would be unpacked behind the link. The
    new files therefore wait above the volume's files. If those are a file system of their own, they wait inside, and every
    container that mounts the volume is paused. Raises: CalledProcessError; OSError.
    """
    outside = source.name == FILES and not os.path.ismount(source)
    place = source.parent if outside else source
    paused = [] if outside else users(name)
    if paused:
        subprocess.run([*DOCKER, "pause", *paused], check=True, capture_output=True)
    try:
        shutil.rmtree(place / NEW, ignore_errors=True)
        (place / NEW).mkdir(mode=0o700)
        yield place
    finally:
        shutil.rmtree(place / NEW, ignore_errors=True)
        if paused:
            subprocess.run([*DOCKER, "unpause", *paused], check=False, capture_output=True)  # some were killed


def users(name: str) -> list[str]:
    """The IDs of all running containers of the node that mount the volume. Raises: CalledProcessError."""
    argv = [*DOCKER, "ps", "--quiet", "--no-trunc", "--filter", f"volume={name}"]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()


def kill_users(name: str) -> None:
    """Kill every container of the node that mounts the volume. Swarm starts the tasks again.

    Raises: CalledProcessError.
    """
    if running := users(name):
        subprocess.run([*DOCKER, "kill", *running], check=False, capture_output=True)  # one may have ended


def exchange(name: str, target: Path, place: Path) -> None:
    """Replace all files of the volume with those that wait in ``place``, and let swarm start its tasks again with them.

    A file system of its own is unmounted when its last container ends. Its users are paused, so they are killed last.
    Raises: CalledProcessError; OSError.
    """
    if place == target:
        _replace(target, place)
        kill_users(name)
    else:
        kill_users(name)
        _replace(target, place)


def _replace(target: Path, place: Path) -> None:
    new, old = place / NEW, place / OLD
    shutil.rmtree(old, ignore_errors=True)
    old.mkdir(mode=0o700)
    for entry in [entry for entry in target.iterdir() if entry not in (new, old)]:
        entry.rename(old / entry.name)
    for entry in list(new.iterdir()):
        entry.rename(target / entry.name)
    owner = new.stat()
    os.chown(target, owner.st_uid, owner.st_gid)
    target.chmod(owner.st_mode & 0o7777)
    shutil.rmtree(old)
    new.rmdir()
