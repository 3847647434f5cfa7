"""The jobs of a pipeline on the fake swarm."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recovery.cli import console
from recovery.pipeline.consent_line import consented
from tests.fake.cases import Case, Scene, Theatre
from tests.fake.forge import FakeForge, serving
from tests.fake.wires import wired
from tests.unit.cli.jobs import FILE, PATH, PULUMI, Project


@pytest.fixture
def forge() -> Iterator[FakeForge]:
    with serving(FakeForge()) as made:
        made.files["main"][PATH] = FILE
        yield made


@pytest.fixture
def stage(
    tmp_path: Path, forge: FakeForge, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Case], tuple[Scene, Project]]]:
    (tmp_path / "stacks").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / PATH).write_text(FILE)
    (tmp_path / "pulumi").write_text(PULUMI)
    (tmp_path / "pulumi").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REQUORUM_PROJECT", raising=False)
    with wired() as wires:

        def staged(case: Case) -> tuple[Scene, Project]:
            scene = Theatre(wires).stage(case)

            def settings(_: str, file: Path) -> Any:
                recover = consented(file.read_text()) or False
                made = scene.settings.model_copy(update={"recover": recover})
                if not os.environ.get("BLIND"):
                    return made
                without = {
                    name: getattr(made, name).model_copy(update={"identity_file": None})
                    for name in ("backup", "escrow")
                }
                return made.model_copy(update=without)

            monkeypatch.setattr(console, "_settings", settings)
            return scene, Project(tmp_path, forge)

        yield staged
