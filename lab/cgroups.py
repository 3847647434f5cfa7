"""Manages the control groups of the lab's containers. They have one parent, so that none stays after the lab."""

from contextlib import suppress
from pathlib import Path

from lab.instance import Instance

_ROOT = Path("/sys/fs/cgroup")


def parent(instance: Instance) -> str:
    """The parent group of the groups of the engine's containers, in every hierarchy."""
    return f"/{instance.name}"


def remove(instance: Instance) -> None:
    """Remove the groups that killed containers left. A group with a process stays."""
    # cgroup v2 has one hierarchy at the root, v1 has one in each folder below.
    for top in [_ROOT / instance.name, *_ROOT.glob(f"*/{instance.name}")]:
        if top.is_dir():
            folders = [path for path in top.rglob("*") if path.is_dir()]
            # The deepest group comes first, because only a group without groups can be removed.
            for folder in [*sorted(folders, key=lambda path: -len(path.parts)), top]:
                with suppress(OSError):
                    folder.rmdir()
