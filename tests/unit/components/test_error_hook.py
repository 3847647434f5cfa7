"""What an update says when a resource fails."""

import pulumi
import pytest

from components import hooks as components
from components.progress import TOLD, stop
from recovery.errors import Refused, RequorumError, StoreError
from tests.unit import cluster
from tests.unit import factories as make


def test_quorum_and_members_that_fail_are_explained_once_for_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    bound: dict[str, list[str]] = {}
    told: list[str] = []
    of = make.settings()
    cluster.build(of, monkeypatch, lambda request: bound.update({request.name: list(request.hooks.on_error)}))
    assert {name for name, on_error in bound.items() if on_error == ["explain"]} == {
        "quorum",
        *(f"{node.address}-member" for node in of.nodes),
    }
    monkeypatch.setattr(components.lifecycle, "explain", lambda *_, **__: ("the cluster is now: healthy",))
    monkeypatch.setattr(pulumi.log, "info", told.append)
    monkeypatch.setattr(pulumi.log, "error", pytest.fail)
    (hook,) = components.on_error(of).on_error or ()
    failed = pulumi.ErrorHookArgs("", "", "", "")
    assert [hook(failed), hook(failed)] == [False, False]
    assert told == ["the cluster is now: healthy"]


@pytest.mark.parametrize(("kind", "head"), [(Refused, "STOPPED: "), (StoreError, "")])
def test_a_program_that_stops_shows_one_error(
    kind: type[RequorumError], head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", told.append)
    error = kind("doing it", "it cannot be done", remedy="wait")
    with pytest.raises(SystemExit) as stopped:
        stop(error)
    assert stopped.value.code == TOLD
    assert told == [f"{head}{error}"]
