"""A volume's files, read and replaced on the node: the image of the service need not hold anything for that."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEW, OLD = ".requorum-new", ".requorum-old"
"""In the volume itself, so that files are moved and not copied."""
FINE = (0, 1)
"""tar exits with 1 where a file changed as it was read."""
KEPT = ("--sparse", "--numeric-owner", "--xattrs", "--acls")


class Missing(Exception):
    """The container mounts no such volume."""


def folder(container: str, name: str) -> Path:
    """Where the volume of that name, which the container mounts, lies on the node. Raises: Missing; OSError."""
    argv = ["docker", "inspect", "--format", "{{json .Mounts}}", container]
    done = subprocess.run(argv, capture_output=True)
    if done.returncode:
        raise Missing(done.stderr.decode(errors="replace").strip())
    mounts = {mount["Name"]: mount["Source"] for mount in json.loads(done.stdout) if mount["Type"] == "volume"}
    if name not in mounts:
        known = f"of the volumes {', '.join(sorted(mounts))} only" if mounts else "of no volume"
        raise Missing(f"its container makes use {known}, not of {name}")
    return Path(mounts[name])


def pack(source: Path) -> list[str]:
    """The command that writes all that lies there."""
    return ["tar", *KEPT, f"--exclude=./{NEW}", f"--exclude=./{OLD}", "-C", str(source), "-cf", "-", "."]


def unpack(target: Path) -> list[str]:
    """The command that reads it back."""
    return ["tar", *KEPT, "--same-permissions", "--same-owner", "-C", str(target), "-xf", "-"]


@contextmanager
def beside(source: Path) -> Iterator[Path]:
    """An empty folder in the volume, for as long as the context is."""
    new = source / NEW
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    try:
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def kill_users(name: str) -> None:
    """Kill every container of the node that mounts the volume; swarm starts its tasks again. Raises: CalledProcessError."""
    argv = ["docker", "ps", "--quiet", "--no-trunc", "--filter", f"volume={name}"]
    users = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    if users:
        subprocess.run(["docker", "kill", *users], check=False, capture_output=True)  # one may have ended by itself


def replace(target: Path, new: Path) -> None:
    """Put the content of ``new``, which lies in the volume, in place of all else. Raises: OSError."""
    old = target / OLD
    shutil.rmtree(old, ignore_errors=True)
    old.mkdir(mode=0o700)
    for entry in [entry for entry in target.iterdir() if entry not in (new, old)]:
        entry.rename(old / entry.name)
    for entry in list(new.iterdir()):
        entry.rename(target / entry.name)
    as_it_was = new.stat()
    os.chown(target, as_it_was.st_uid, as_it_was.st_gid)
    target.chmod(as_it_was.st_mode & 0o7777)
    shutil.rmtree(old)
