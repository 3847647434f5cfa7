"""Unlock keys that a round stores with its copies."""

from pathlib import Path

import pytest

from recovery.agent.run import Run
from recovery.errors import SettingError
from recovery.s3.site import Site
from tests.unit.agent.world import CONFIG, ESCROWED, KEY, PREFIX, World


def test_an_unlock_key_is_stored_with_every_copy(world: World) -> None:
    world.key = KEY
    world.run()
    assert PREFIX + ESCROWED in [entry.key for entry in world.bucket.objects.all()]
    world.bucket.Object(PREFIX + ESCROWED).delete()
    world.change()
    world.run()
    assert ESCROWED in world.stored(), "such as after a change of bucket"


def test_an_unlock_key_is_locked_for_as_long_as_the_copy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    real = Site.keep

    def keep(site: Site, key: str, content: bytes) -> None:
        kept.append(key)
        real(site, key, content)

    monkeypatch.setattr(Site, "keep", keep)
    world.key = KEY
    for _ in range(2):
        world.run()
        world.change()
    assert kept.count(PREFIX + ESCROWED) == 2
    assert kept[0] == PREFIX + ESCROWED, "before the copy that needs it"


def test_a_key_that_is_missing_keeps_its_copy_from_s3(world: World) -> None:
    world.key = KEY
    with world.without_s3():
        world.run()
    (world.waiting[0].folder / ESCROWED).unlink()
    world.run()
    assert "unlock key" in world.state.failure
    assert world.state.faults["copy"].endswith("code: copy-damaged")


def test_an_unlock_key_that_nobody_could_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"code: no-escrow-recipients$"):
        Run(CONFIG, tmp_path)._seal(KEY, tmp_path / "key")
