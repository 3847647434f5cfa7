"""When a machine's preparation runs again: what was found on the machine decides."""

from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from components import node as components
from components.identity import Identities
from components.node import Preparation
from recovery.planning import preparation
from tests.unit import factories as make
from tests.unit.cluster import Made, Monitor

S = make.settings()
DRIFTED = preparation.Preparation("true\n", known=True, drift=("the firewall's rules are missing (IPv4)",))


def registered(monkeypatch: pytest.MonkeyPatch, wanted: preparation.Preparation, *, silent: bool = False) -> Any:
    """How the command of a machine is registered."""
    found: list[Any] = []
    monkeypatch.setattr(components, "private_key_text", lambda _: "key")
    monkeypatch.setattr(components, "pinned_key", lambda *_: "host key")
    mocks.set_mocks(Made(), monitor=Monitor(lambda request: found.append(request)))

    @pulumi.runtime.test
    def run() -> None:
        Preparation(S.managers[0], S, Identities(), "machine", silent, wanted, make.NOW)

    run()
    (command,) = [request for request in found if request.name == f"{S.managers[0].address}-prepared"]
    return command


@pytest.mark.parametrize(
    ("wanted", "silent", "ignored"),
    [
        (preparation.Preparation("true\n"), False, []),
        (preparation.Preparation("true\n", known=True), False, ["stdin"]),
        (preparation.Preparation("true\n", known=True, lacks=("age",)), False, ["stdin"]),
        (DRIFTED, False, []),
        (DRIFTED, True, ["*"]),
    ],
    ids=["nobody looked", "as it should be", "lacks a tool", "differs", "silent"],
)
def test_a_machine_that_is_as_it_should_be_keeps_what_the_state_has(
    monkeypatch: pytest.MonkeyPatch, wanted: preparation.Preparation, silent: bool, ignored: list[str]
) -> None:
    assert list(registered(monkeypatch, wanted, silent=silent).ignoreChanges) == ignored


def test_a_machine_that_differs_is_prepared_again_though_the_script_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = registered(monkeypatch, preparation.Preparation("true\n"))
    again = registered(monkeypatch, DRIFTED)
    assert first.object["stdin"] == "true\n"
    assert again.object["stdin"] == f"true\n# {make.NOW.isoformat()}\n"
    assert list(first.object["triggers"]) == list(again.object["triggers"]) == ["machine"]
