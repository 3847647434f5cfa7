"""The file system and the rights of the sandbox's engine: what it sees and may do on the node.

The engine reads a raft log that somebody else may have written, and its plugins act outside of it. So it gets a root of its
own: the programs of the node, read-only, and empty folders. It sees no socket, no device, no plugin and no key of the
node, and lacks every right that undoes this.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Folders of programs and libraries. On most systems, all but the first are links into it."""
FILES = ("etc/passwd", "etc/group", "etc/ld.so.cache", "etc/nsswitch.conf")
EMPTY = ("run", "tmp", "var/lib", "var/run", "root", "home", "etc/docker", "data")
DEVICES = ("null", "zero", "full", "random", "urandom")
PLUGINS = ("usr/lib/docker/plugins", "usr/local/lib/docker/plugins")
"""Specifications of plugins, which name sockets and addresses (moby, pkg/plugins: specsPaths)."""
KERNEL = ("proc/sys", "proc/sysrq-trigger", "proc/irq", "proc/bus", "proc/fs")
"""What root could change of the whole machine through /proc. `proc/sys/net` belongs to the sandbox's own network."""
RIGHTS = ("chown", "dac_override", "fowner", "fsetid", "kill", "net_admin", "net_bind_service", "setgid", "setuid")
"""All that the engine may do as root. Without sys_admin it mounts and unmounts nothing."""
ENTER = 'cd "$1" && pivot_root . . && umount -l .'
"""Makes the folder the root of every process in the mount namespace, and leaves no way to the old root."""


class Unconfined(Exception):
    """The sandbox could not be closed. This error says nothing about the copy."""


def enter(root: Path, copy: Path, size: int) -> None:
    """Make ``root`` the only root of this mount namespace, with ``size`` bytes of memory for files.

    The archive ``copy`` is in it as ``/copy``. Raises: Unconfined; OSError.
    """
    run("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", str(root))
    for name in EMPTY:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        _same(root, name)
    for name in (*FILES, *(f"dev/{device}" for device in DEVICES)):
        if (Path("/") / name).exists():
            _bind(Path("/") / name, root / name)
    _bind(copy, root / "copy")
    _kernel(root)
    for name in PLUGINS:
        if (root / name).is_dir():
            run("mount", "-t", "tmpfs", "-o", "ro,size=4k", "none", str(root / name))
    run("sh", "-c", ENTER, "enter", str(root))


def engine(*argv: str) -> list[str]:
    """The command with no more than `RIGHTS`, and no way to more."""
    bounds = ",".join(["-all", *(f"+{name}" for name in RIGHTS)])
    return ["setpriv", "--no-new-privs", f"--bounding-set={bounds}", "--inh-caps=-all", "--", *argv]


def run(*argv: str) -> None:
    """Raises: Unconfined when the program fails."""
    done = subprocess.run(argv, capture_output=True)
    if done.returncode:
        raise Unconfined(f"{argv[0]}: {done.stderr.decode(errors='replace').strip() or done.returncode}")


def _same(root: Path, name: str) -> None:
    """The folder of the node in ``root``, read-only, or the same link."""
    there, here = Path("/") / name, root / name
    if there.is_symlink():
        here.symlink_to(there.readlink())
    elif there.is_dir():
        here.mkdir()
        run("mount", "--rbind", str(there), str(here))
        _read_only(here)


def _bind(there: Path, here: Path) -> None:
    """One file of the node, read-only."""
    here.parent.mkdir(parents=True, exist_ok=True)
    here.touch()
    run("mount", "--bind", str(there), str(here))
    run("mount", "-o", "remount,bind,ro", str(here))


def _kernel(root: Path) -> None:
    """The kernel's own files: of the sandbox's processes and network, and the control groups, which an engine looks for."""
    (root / "proc").mkdir()
    run("mount", "-t", "proc", "-o", "nosuid,nodev,noexec", "proc", str(root / "proc"))
    for name in (one for one in KERNEL if (root / one).exists()):
        run("mount", "--bind", str(root / name), str(root / name))
        run("mount", "-o", "remount,bind,ro", str(root / name))
    run("mount", "-t", "proc", "proc", str(root / "tmp"))
    run("mount", "--bind", str(root / "tmp/sys/net"), str(root / "proc/sys/net"))
    run("umount", str(root / "tmp"))
    (root / "sys").mkdir()
    run("mount", "-t", "sysfs", "-o", "ro,nosuid,nodev,noexec", "sysfs", str(root / "sys"))
    run("mount", "--rbind", "/sys/fs/cgroup", str(root / "sys/fs/cgroup"))
    _read_only(root / "sys/fs/cgroup")


def _read_only(folder: Path) -> None:
    """Make each mount at and below the folder read-only."""
    for place in _mounts(folder):
        run("mount", "-o", "remount,bind,ro", place)


def _mounts(folder: Path) -> Iterator[str]:
    """The mounts at and below the folder (proc_pid_mountinfo(5): spaces and the like are octal)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place = line.split()[4].encode().decode("unicode_escape")
        if Path(place).is_relative_to(folder):
            yield place
