"""The wanted version of the engines: in quotes, with a command where no update makes the machines."""

from typing import Any

import pytest

from recovery.errors import SettingError
from recovery.planning.changes import find
from recovery.planning.record import NOTHING
from recovery.settings import parse
from tests.unit import factories as make

EXISTING = {"hosts": {"driver": "existing"}}


@pytest.mark.parametrize("version", ["28", "28.0", "28.0.4"])
def test_a_version_may_be_given_in_part(version: str) -> None:
    engine = parse(make.raw(**EXISTING, engine={"version": version, "command": "install"})).engine
    assert engine
    assert (engine.version, engine.command) == (version, "install")


@pytest.mark.parametrize("version", [28.1, 28, "v28", "", "28.0.4.1", "28.0+dfsg", "latest", None])
def test_what_is_no_version_is_refused_and_named(version: Any) -> None:
    with pytest.raises(SettingError, match=r"requorum:engine\.version"):
        parse(make.raw(**EXISTING, engine={"version": version, "command": "install"}))


def test_machines_that_nobody_makes_need_a_command() -> None:
    with pytest.raises(SettingError, match=r"requorum:engine\.command"):
        parse(make.raw(**EXISTING, engine={"version": "28"}))
    assert parse(make.raw(engine={"version": "28"})).engine


@pytest.mark.parametrize(("version", "noted"), [("20.10", False), ("26.1", True)])
def test_a_preview_notes_engines_that_are_older(version: str, noted: bool) -> None:
    of = make.settings(engine={"version": version})
    notes = [note for note in find(of, make.healthy(of), NOTHING, {}).notes if "requorum upgrade" in note]
    expected = f"manager-a, manager-b, manager-c: the engine is older than requorum:engine.version {version}. requorum upgrade brings it there"
    assert notes == [expected] * noted
