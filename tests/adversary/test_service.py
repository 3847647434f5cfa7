"""A container of a service: root in its volume, and nowhere else on the node."""

from pathlib import Path
from threading import Event, Thread

import pytest
from backports import zstd

from recovery.onnode import volume
from tests.unit.onnode.test_streaming import give, given, node, taken

__all__ = ["node"]


def attack(where: Path, target: Path, over: Event) -> None:
    """Put a link to ``target`` in the place of each folder that a restore makes in the volume, as fast as possible."""
    while not over.is_set():
        for name in (volume.NEW, volume.OLD):
            try:
                (where / name).rename(where / f"{name}.moved")
                (where / name).symlink_to(target)
            except OSError:
                continue


@pytest.mark.parametrize("tries", [10, pytest.param(100, marks=pytest.mark.whole)])
def test_a_container_cannot_lead_the_restore_of_its_volume_out_of_it(node: Path, tmp_path: Path, tries: int) -> None:
    target = tmp_path / "cron.d"
    target.mkdir()
    for number in range(50):
        (node / f"job-{number}").write_text("* * * * * root id")
    asked = given(volume="rows")
    _, tar = taken(asked)
    packed = zstd.compress(tar)
    over = Event()
    container = Thread(target=attack, args=(node, target, over), daemon=True)
    container.start()
    try:
        for _ in range(tries):
            give(asked, packed, tar)
            assert not list(target.iterdir())
    finally:
        over.set()
        container.join()
    assert len(list(node.iterdir())) == 50
