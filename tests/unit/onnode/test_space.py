"""What takes space on the disk of a swarm directory: the largest first, each with the command that removes it."""

import os
from pathlib import Path

import pytest

from recovery.onnode import space

DF = "Images\\t3.5GB (80%)\\nContainers\\t20MB (1%)\\nLocal Volumes\\t100MB\\nBuild Cache\\t1.2GB\\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with a swarm directory, on a machine without Docker."""
    (tmp_path / "docker" / "swarm").mkdir(parents=True)
    for name in ("COUNT_SECONDS", "DOCKER_SECONDS"):
        monkeypatch.setattr(space, name, 60.0)
    for name in ("FOLDERS", "DOCKERS_FOLDERS"):
        below = (entry for entry in getattr(space, name) if not entry[0].startswith("/"))
        monkeypatch.setattr(space, name, tuple(below))
    program(tmp_path, monkeypatch, "docker", "exit 1")
    return tmp_path / "docker"


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> None:
    """A program that is found first."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")


def put(root: Path, name: str, size: int) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


def subjects(root: Path) -> list[str]:
    return [line.partition(" of ")[2] for line in space.removable(str(root))]


def test_folders_are_counted_where_the_engine_does_not_answer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "WORTH_BYTES", 10_000)
    for name, size in {
        "swarm.before-1/file": 20_000,
        "swarm.before-2/file": 20_000,
        "swarm.saved-1.tar.zst": 12_000,
        "overlay2/layer/file": 90_000,
        "buildkit/file": 60_000,
        "volumes/file": 10,
    }.items():
        put(root, name, size)
    assert subjects(root) == [
        "images and layers: docker image prune --all",
        "the build cache: docker builder prune --all",
        "former swarm directories",
        "safety copies of swarm directories",
    ]


def test_what_docker_would_give_back_is_told_in_its_own_count(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, monkeypatch, "docker", f"printf '%b' '{DF}'")
    put(root, "overlay2/layer/file", 17 << 20)
    put(root, "containers/abc/abc-json.log", 30 << 20)
    assert space.removable(str(root)) == [
        "3337 MiB of images that no container uses: docker image prune --all",
        "1144 MiB of the build cache: docker builder prune --all",
        "95 MiB of volumes that no container uses, which may hold data: docker volume ls --filter dangling=true",
        f"30 MiB of logs of containers: truncate --size 0 {root}/containers/*/*-json.log",
        "19 MiB of containers that do not run: docker container prune",
    ]


def test_what_docker_has_on_another_disk_is_not_told(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, monkeypatch, "docker", f"printf '%b' '{DF}'")
    if not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == root.stat().st_dev:
        pytest.skip("there is no second file system at /dev/shm")
    (root / "swarm").rmdir()
    (root / "swarm").symlink_to("/dev/shm")
    assert space.removable(str(root)) == []


def test_what_takes_too_long_to_count_is_told_first(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("du", "docker"):
        program(tmp_path, monkeypatch, name, "exec sleep 5")
    monkeypatch.setattr(space, "COUNT_SECONDS", 0.05)
    monkeypatch.setattr(space, "DOCKER_SECONDS", 0.05)
    put(root, "overlay2/layer/file", 17 << 20)
    assert space.removable(str(root)) == [
        "more than could be counted in 0.05 s of images and layers: docker image prune --all"
    ]
