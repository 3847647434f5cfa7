"""Starts, stops and removes the whole lab."""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lab import command, engine, environment, faults, image, nodes, preflight, s3, workload
from lab.errors import LabError
from lab.instance import Instance
from toolchain.progress import Screen, State, shown

Say = Callable[[str], None]
BUILDING = "building the node image from Debian packages: about 2 min, once"
_MARK = "requorum-lab"
"""The name of a file in the root folder. The lab removes only a folder with this file."""


def up(instance: Instance, say: Say, version: str = image.DEFAULT) -> None:
    """Start engine, image, S3 server and the files of the lab. Whatever exists stays as it is."""
    preflight.check(instance)
    preflight.raise_inotify_limit(say)
    _make_root(instance)
    (instance.root / _MARK).touch()
    environment.ensure_pulumi(instance)
    steps: tuple[tuple[str, str, Callable[[], bool]], ...] = (
        (
            "engine",
            "engine started" if instance.owns_engine else "link to the engine made",
            lambda: engine.start(instance),
        ),
        ("S3 server", "S3 server started", lambda: s3.start(instance)),
        ("node image", f"node image {image.reference(version)} imported", lambda: _image(instance, version)),
    )
    for subject, message, act in steps:
        begun = time.monotonic()
        text = message if act() else f"{subject} was there"
        say(f"{text}  {time.monotonic() - begun:.1f} s")
    workload.archive(version)


def _image(instance: Instance, version: str) -> bool:
    """Make the node image if it is missing. Returns whether it was missing. The build takes minutes."""
    with shown(Screen("lab"), lambda: State(BUILDING)):
        return image.ensure(instance, version)


def stop(instance: Instance, say: Say) -> None:
    """Stop the engine with its nodes, and the S3 server. All files stay for the next `up`."""
    s3.stop(instance)
    if instance.owns_engine and engine.is_running(instance):
        running = [node.name for node in nodes.existing(instance) if node.state == "running"]
        faults.stop(instance, running)
    engine.stop(instance)
    say(f"lab {instance.octet} stopped; `python -m lab up` starts it again")


def down(instance: Instance, say: Say) -> None:
    """Stop everything and remove the root folder. The caches stay. The function is repeatable."""
    begun = time.monotonic()
    if engine.is_running(instance) or not instance.owns_engine:
        _remove_nodes(instance, say)
    s3.stop(instance)
    engine.stop(instance, patience=5.0)
    _remove_root(instance)
    say(f"lab {instance.octet} is gone  {time.monotonic() - begun:.1f} s")


def _remove_nodes(instance: Instance, say: Say) -> None:
    try:
        nodes.remove_all(instance)
    except LabError as error:
        if not instance.owns_engine:
            raise
        # The lab's own engine is removed with all its content, even if it does not work.
        say(f"{error}; going on, since the engine goes too")


def _make_root(instance: Instance) -> None:
    while not instance.root.is_dir():
        try:
            instance.root.mkdir(parents=True, exist_ok=True)
        except (
            FileNotFoundError,
            FileExistsError,
        ):  # another lab removed the base folder meanwhile
            if instance.base.is_file():
                raise


def _remove_root(instance: Instance) -> None:
    root = instance.root
    if not root.exists():
        return
    if not (root / _MARK).exists():
        raise LabError(
            f"removing {root}",
            "it does not look like a lab's folder",
            "Check what it is; remove it by hand when it may go",
        )
    for point in reversed(_mounts_below(root)):
        command.run(
            ["umount", "--lazy", point], doing=f"releasing {point}", advice="`findmnt` shows what is mounted there"
        )
    if _mounts_below(root):
        raise LabError(
            f"removing {root}",
            "something is still mounted in it",
            f"`findmnt -R {root}` shows what; then run down again",
        )
    shutil.rmtree(root)
    with suppress(OSError):  # another lab exists, or is being made
        instance.base.rmdir()


def _mounts_below(root: Path) -> list[str]:
    # The fifth field of mountinfo is the mount point, with octal escapes (proc(5)).
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return [point for point in points if Path(point).is_relative_to(root)]
