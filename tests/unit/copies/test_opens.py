"""Copies that are made where an identity is at hand, and where none is: what cannot be opened is told at once, and only that."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyrage
import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.cluster import Cluster
from recovery.copies import contents
from recovery.copies.catalog import Catalog
from recovery.copies.escrow import Escrow
from recovery.copies.taking import take_one
from recovery.errors import NoUnlockKey, UnopenedCopy
from recovery.operations import backup, lifecycle
from recovery.operations.backup import BackupResult
from recovery.settings import Settings
from tests.fake.cases import Case, Theatre, names, quiet
from tests.fake.wires import wired

STRANGER = f"{pyrage.x25519.Identity.generate()}\n"


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    with wired() as wires:
        yield Theatre(wires)


@pytest.fixture
def of(theatre: Theatre, tmp_path: Path) -> Callable[[str], Settings]:
    """The settings of a healthy swarm, with an identity file that holds so much; none where that is nothing."""

    def made(identity: str) -> Settings:
        settings = theatre.stage(Case(3, frozenset())).settings
        file = tmp_path / "identity"
        if identity:
            file.write_text(identity)
        changed = settings.backup.model_copy(update={"identity_file": file})
        return settings.model_copy(update={"backup": changed})

    return made


def taken(settings: Settings) -> list[BackupResult]:
    before = set(Catalog(settings).copies)
    made = list(backup.backup(Cluster(settings), say=quiet))
    assert {outcome.copy for outcome in made} == set(Catalog(settings).copies) - before
    return made


def test_an_identity_that_is_not_on_this_machine_is_no_fault_of_a_copy(of: Callable[[str], Settings]) -> None:
    """The stack file is committed and names it; a pipeline only makes copies."""
    settings = of("")
    assert [outcome.error for outcome in taken(settings)] == [None, None, None]
    lifecycle.fresh_copies(Cluster(settings), say=quiet)


def test_a_copy_that_is_not_to_be_opened_is_a_copy_and_an_error(
    of: Callable[[str], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = of(STRANGER)
    made = taken(settings)
    assert [outcome.manager for outcome in made if isinstance(outcome.error, UnopenedCopy)] == [
        *names(3)[1:],
        names(3)[0],
    ]
    assert not any(outcome.at_fault for outcome in made)
    with pytest.raises(UnopenedCopy):
        take_one(Catalog(settings), settings, settings.managers[0])
    monkeypatch.setattr(cli.console, "_settings", lambda *_: settings)
    result = CliRunner().invoke(cli.app, ["backup"])
    assert result.exit_code == 1
    assert "code: wrong-identity" in result.stderr
    assert "not copied" not in result.stderr


def test_the_unlock_key_of_a_copy_is_looked_for_as_soon_as_that_is_made(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def check(escrow: Escrow, archive: Path, _: Any, *, whose: str) -> None:
        assert contents.key_file(archive, source=whose)
        looked.append(whose)
        raise NoUnlockKey("looking", "escrow has no unlock key", remedy="give it")

    monkeypatch.setattr(Escrow, "check", check)
    made = taken(theatre.stage(Case(3, frozenset())).settings)
    assert {outcome.copy.name for outcome in made if outcome.copy} == set(looked)
    assert all(isinstance(outcome.error, NoUnlockKey) for outcome in made)
