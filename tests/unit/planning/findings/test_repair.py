"""The script that repairs a volume's file system, on real images in loop devices, as far as this machine lets it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recovery.planning.findings.volumes import REMOVE, REPAIR
from recovery.swarm.client import DOCKER
from tests.unit.onnode.test_space import program

TOOLS = {"ext4": ("mkfs.ext4", "e2fsck"), "xfs": ("mkfs.xfs", "xfs_repair")}
SIZE = {"ext4": 16 << 20, "xfs": 320 << 20}
SUPERBLOCK = {"ext4": 1024 + 0x38, "xfs": 0}
"""Where the magic number of each file system is (ext4(5); xfs: the first sector)."""


def run(*argv: object, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(word) for word in argv], check=check, capture_output=True, text=True)


def idle(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """An engine with a volume of that kind, and without a container."""
    program(folder, monkeypatch, "docker", f'case "$*" in *" ps "*) ;; *) echo {kind};; esac')


@pytest.fixture(params=list(TOOLS))
def kind(request: pytest.FixtureRequest) -> str:
    missing = [tool for tool in (*TOOLS[request.param], "losetup", "mount") if not shutil.which(tool)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"missing for {request.param}: {', '.join(missing) or 'root'}")
    return str(request.param)


@pytest.fixture
def device(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A loop device with a file system that holds one file, and whose magic number is gone."""
    idle(tmp_path, monkeypatch, kind)
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(SIZE[kind])
    run(TOOLS[kind][0], "-q", image)
    attached = run("losetup", "--find", "--show", image, check=False)
    if attached.returncode:
        pytest.skip(f"the kernel lends no loop device here: {attached.stderr.strip()}")
    path = attached.stdout.strip()
    try:
        mounted(path, tmp_path, lambda place: (place / "rows").write_text("kept"))
        with Path(path).open("r+b") as file:
            file.seek(SUPERBLOCK[kind])
            file.write(bytes(4))
            file.flush()
            os.fsync(file.fileno())
        yield path
    finally:
        run("losetup", "--detach", path, check=False)


def mounted(path: str, folder: Path, act: Callable[[Path], object]) -> None:
    place = folder / "place"
    place.mkdir(exist_ok=True)
    run("mount", path, place)
    try:
        act(place)
    finally:
        run("umount", place)


def repair(path: str, option: str = "") -> "subprocess.CompletedProcess[str]":
    return run("sh", "-c", REPAIR, "repair", path, "rows", option, check=False)


def test_a_file_system_that_does_not_mount_does_after_the_repair(device: str, kind: str, tmp_path: Path) -> None:
    refused = run("mount", "-t", kind, device, tmp_path, check=False)
    if not refused.returncode:
        run("umount", tmp_path)
        pytest.fail("the damage does not hinder a mount")
    done = repair(device)
    assert done.returncode == 0, done.stderr + done.stdout
    mounted(device, tmp_path, lambda place: (place / "rows").read_text() == "kept" or pytest.fail("its file is gone"))


def test_a_device_that_is_mounted_is_not_touched(device: str, tmp_path: Path) -> None:
    assert repair(device).returncode == 0
    mounted(device, tmp_path, lambda _: _refused(device))


def _refused(device: str) -> None:
    done = repair(device)
    assert (done.returncode, f"{device} is mounted" in done.stderr) == (1, True)


def test_a_volume_of_another_kind_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    idle(tmp_path, monkeypatch, "nfs")
    done = repair("/dev/none")
    assert (done.returncode, "no file system of ext or xfs" in done.stderr) == (1, True)


def test_a_volume_is_removed_when_its_last_container_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine lists a container that still runs, twice, and then the same one that has exited."""
    script = f"""case "$*" in
    *" ps --all "*) echo c1;;
    *" ps "*) echo . >> {tmp_path}/asked; [ $(wc -l < {tmp_path}/asked) -gt 2 ] || echo c1;;
    *) echo "$*" >> {tmp_path}/done;;
    esac"""
    program(tmp_path, monkeypatch, "docker", script)
    run("sh", "-c", REMOVE, "remove", "rows")
    done = [line.removeprefix(f"{' '.join(DOCKER[1:])} ") for line in (tmp_path / "done").read_text().splitlines()]
    assert done == ["rm c1", "volume rm rows"]
    assert (tmp_path / "asked").read_text().count(".") == 3


def test_a_volume_is_removed_although_the_swarm_removes_its_container_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine refuses to remove the container, whose removal is in progress, and then, once, the volume that it still names."""
    script = f"""case "$*" in
    *" ps --all "*) [ -e {tmp_path}/gone ] || echo c1;;
    *" volume rm "*) echo . >> {tmp_path}/asked; [ -e {tmp_path}/gone ] || {{ touch {tmp_path}/gone; exit 1; }};;
    *" rm "*) echo "removal of container c1 is already in progress" >&2; exit 1;;
    esac"""
    program(tmp_path, monkeypatch, "docker", script)
    run("sh", "-c", REMOVE, "remove", "rows")
    assert (tmp_path / "asked").read_text().count(".") == 2


def test_a_volume_that_is_kept_ends_the_repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "docker", 'case "$*" in *" volume rm "*) echo "volume is in use" >&2; exit 1;; esac')
    program(tmp_path, monkeypatch, "sleep", "exit 0")
    done = run("sh", "-c", REMOVE, "remove", "rows", check=False)
    assert (done.returncode, "volume is in use" in done.stderr) == (1, True)
