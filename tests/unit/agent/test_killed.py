"""A round that is killed before any of its effects: the next one ends it."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from recovery.agent import order as agent_order
from recovery.agent.state import DONE
from recovery.s3 import lease
from recovery.s3.site import Site
from recovery.swarm.key_file import UnlockKey
from tests.unit.agent.world import ESCROWED, KEY, PREFIX, World, of_copies


class Killed(BaseException):
    """The process is no more."""


class Death:
    """Kills a round before its n-th effect: a write to S3, or to the disk. A dead process has no effect any more."""

    def __init__(self, at: int, patch: pytest.MonkeyPatch) -> None:
        self.at, self.effects = at, 0
        of_s3 = [(Site, name) for name in ("_put", "upload")]
        of_disk = [(Path, name) for name in ("mkdir", "rename", "replace", "unlink", "write_bytes", "write_text")]
        for place, name in [*of_s3, *of_disk, (shutil, "rmtree")]:
            patch.setattr(place, name, self._mortal(getattr(place, name)))

    def _mortal(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*given: Any, **named: Any) -> Any:
            self.effects += 1
            if self.effects > self.at:
                raise Killed
            return real(*given, **named)

        return act


@pytest.mark.parametrize("key", [None, KEY], ids=["", "autolocked"])
def test_killed_before_any_effect_the_next_round_ends_it(
    tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch, key: UnlockKey | None
) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.05)
    monkeypatch.setattr(lease, "PAUSE", 0.01)
    at, ended = 0, False
    while not ended:
        folder = tmp_path / str(at)
        folder.mkdir()
        bucket.objects.all().delete()
        with monkeypatch.context() as patch:
            world = World(folder, bucket, patch)
            world.key = key
            with monkeypatch.context() as mortal:
                Death(at, mortal)
                with suppress(Killed):
                    ended = world.run() == DONE
            of_s3 = world.stored()
            manifests = [name for name in of_s3 if name.endswith(".manifest.json")]
            assert all(name.replace(".manifest.json", ".tar.zst.age") in of_s3 for name in manifests), at
            world.later(agent_order.pause(1))
            assert world.run() == DONE, (at, world.state.failure)
            assert of_copies(world.stored()) == ["manifest.json", "zst.age"], at
            assert (ESCROWED in world.stored()) == bool(key)
            noted = json.loads(bucket.Object(f"{PREFIX}agent/mark.json").get()["Body"].read())
            assert noted["copy"] in "".join(world.stored())
            assert world.state.fingerprint == noted["fingerprint"]
            assert (list((folder / "spool").iterdir()), world.state.failure) == ([], "")
            assert not (folder / "damaged").exists()
        at += 1
    assert at > 12
