"""What recoveries left beside the swarm directory goes after the proof, as soon as a newer proven copy stands in for it."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recovery.cluster import Cluster
from recovery.errors import ProofFailed
from recovery.operations import former, lifecycle
from recovery.operations.assess import assess
from recovery.operations.recover import recover_all
from recovery.settings import Settings
from tests.fake.cases import Case, Theatre, quiet
from tests.fake.machine import Machine
from tests.fake.wires import wired


def told(root: Path, script: str, *words: str) -> list[str]:
    return subprocess.run(
        ["sh", "-c", script, "it", str(root), *words], check=True, capture_output=True, text=True
    ).stdout.split()


def test_on_a_node_only_older_ones_go_and_no_link_is_followed(tmp_path: Path) -> None:
    root, victim = tmp_path / "docker", tmp_path / "victim"
    assert told(tmp_path, former.LOOK) == []
    (root / "swarm.before-1/certificates").mkdir(parents=True)
    (root / "swarm.saved-abc.tar.zst").touch()
    (root / "swarm/certificates").mkdir(parents=True)
    (root / "volumes").mkdir()
    victim.mkdir()
    (victim / "file").touch()
    (root / "swarm.before-2 $(touch owned)\n-").symlink_to(victim)
    placed = [int(at) for at in told(root, former.LOOK)]
    assert len(placed) == 3
    assert told(root, former.REMOVE, str(min(placed))) == []
    assert len(told(root, former.LOOK)) == 3, "none is older"
    told(root, former.REMOVE, str(max(placed) + 1))
    assert sorted(one.name for one in root.iterdir()) == ["swarm", "volumes"]
    assert (root / "swarm/certificates").is_dir()
    assert (victim / "file").exists()


@pytest.fixture
def theatre() -> Iterator[Theatre]:
    with wired() as wires:
        yield Theatre(wires)


def damaged(theatre: Theatre) -> tuple[Settings, Machine]:
    """A cluster with one manager whose engine does not start on its log, so that a recovery sets it aside."""
    scene = theatre.stage(Case(3, frozenset()))
    theatre.wires.swarm.damage("manager-c", lost=1 << 20)
    return scene.settings, theatre.wires.swarm.named("manager-c")


def recover(of: Settings) -> list[str]:
    said: list[str] = []
    recover_all(Cluster(of), assess(Cluster(of)), say=said.append)
    return said


def test_they_stay_until_the_proof_and_go_then(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    of, machine = damaged(theatre)
    with monkeypatch.context() as patch:

        def fails(*_: object, **__: object) -> None:
            raise ProofFailed("proving the cluster", "it is not", remedy="wait", code="proof-failed")

        patch.setattr(lifecycle.prove, "prove", fails)
        with pytest.raises(ProofFailed):
            recover(of)
    assert machine.former, "a rollback may need it"
    said = recover(of)
    assert machine.former == ()
    assert "manager-c: removed swarm.before-* and swarm.saved-*, for which a newer proven copy in S3 stands in" in said


def test_they_stay_as_long_as_no_proven_copy_is_newer(theatre: Theatre) -> None:
    of, machine = damaged(theatre)
    recover(of)
    machine.former = (datetime.now(UTC).timestamp() + 60,)
    said: list[str] = []
    lifecycle.finish(Cluster(of), theatre.wires.swarm.founded[0], how="test", say=said.append)
    assert machine.former
    assert "manager-c keeps swarm.before-* and swarm.saved-*, until S3 has a proven copy that is newer" in said
    theatre.wires.objects = {key: content for key, content in theatre.wires.objects.items() if "swarm-" not in key}
    machine.former = (1.0,)
    lifecycle.finish(Cluster(of), theatre.wires.swarm.founded[0], how="test", say=quiet)
    assert machine.former, "no copy is there"


def test_without_any_no_copy_is_read(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = theatre.stage(Case(3, frozenset()))
    monkeypatch.setattr(former, "_proven", pytest.fail)
    lifecycle.finish(Cluster(scene.settings), scene.cluster_id, how="test", say=pytest.fail)
