"""When a machine's preparation runs again: what was found on the machine decides."""

from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from components import node as components
from components.identity import Identities
from components.node import Preparation
from recovery.cluster import Cluster
from recovery.planning import preparation
from tests.unit import factories as make
from tests.unit.cluster import Made, Monitor

S = make.settings()
DRIFTED = preparation.Preparation("true\n", known=True, drift=("the firewall's rules are missing (IPv4)",))


def registered(wanted: preparation.Preparation, *, silent: bool = False) -> Any:
    """How the command of a machine is registered."""
    found: list[Any] = []
    mocks.set_mocks(Made(), monitor=Monitor(lambda request: found.append(request)))

    @pulumi.runtime.test
    def run() -> None:
        Preparation(S.managers[0], Identities(), "machine", silent, wanted, make.NOW)

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
        (DRIFTED, True, ["stdin", "host"]),
    ],
    ids=["nobody looked", "as it should be", "lacks a tool", "differs", "silent"],
)
def test_a_machine_that_is_as_it_should_be_keeps_what_the_state_has(
    wanted: preparation.Preparation, silent: bool, ignored: list[str]
) -> None:
    assert list(registered(wanted, silent=silent).ignoreChanges) == ignored


def test_a_machine_that_differs_is_prepared_again_though_the_script_is_the_same() -> None:
    first = registered(preparation.Preparation("true\n"))
    again = registered(DRIFTED)
    assert first.object["stdin"] == "true\n"
    assert again.object["stdin"] == f"true\n# {make.NOW.isoformat()}\n"
    assert first.object["host"] == again.object["host"] == "machine"


OLD = {"connection": {"privateKey": "key"}, "create": "sh -s", "stdin": "old\n", "triggers": ["machine"], "stdout": ""}
"""The outputs of a preparation in the state of an earlier release."""
NODE = S.managers[0].to_json()


@pytest.mark.parametrize(
    ("olds", "news", "changes", "runs"),
    [
        (OLD, {"stdin": "old\n", "host": "machine"}, True, False),
        (OLD, {"stdin": "old\n"}, True, False),
        (OLD, {"stdin": "new\n", "host": "machine"}, True, True),
        (OLD, {"stdin": "old\n", "host": "another"}, True, True),
        ({"stdin": "old\n", "host": "machine"}, {"stdin": "old\n", "host": "machine"}, False, False),
        ({"stdin": "old\n", "host": "machine"}, {"stdin": "old\n"}, False, False),
        ({"stdin": "old\n", "host": "machine"}, {"stdin": "new\n", "host": "machine"}, True, True),
        ({"stdin": "old\n", "host": "machine"}, {"stdin": "old\n", "host": "another"}, True, True),
    ],
)
def test_a_preparation_of_an_earlier_release_is_taken_over_without_its_key_and_does_not_run_for_that(
    monkeypatch: pytest.MonkeyPatch, olds: dict[str, Any], news: dict[str, Any], changes: bool, runs: bool
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(components, "prepare", lambda _, node, script: ran.append(f"{node.name} {script}"))
    provider, given = components.PreparationProvider(), {"node": NODE, **news}
    provider._cluster = Cluster(S)
    assert provider.diff("id", olds, given).changes is changes
    outs = provider.update("id", olds, given).outs
    assert ran == ([f"{S.managers[0].name} {news['stdin']}"] if runs else [])
    assert outs == {"node": NODE, "stdin": news["stdin"], "host": news.get("host", "machine")}


def test_a_preparation_is_found_under_the_type_of_earlier_releases() -> None:
    command = registered(preparation.Preparation("true\n"))
    assert [alias.spec.type for alias in command.aliases if alias.spec.name in ("", command.name)] == [
        "command:remote:Command"
    ]
