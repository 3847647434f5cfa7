"""The rules of the policy pack: a table of swarms, and that the program registers what they read."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from policy.rules import EXAMPLE, MEMBER, PROVIDER, RULES, Swarm, swarm_of
from recovery.settings import EXAMPLES_RECIPIENT
from tests.unit import cluster
from tests.unit import factories as make

GOOD = Swarm(
    ("a", "b", "c"),
    {"manager-a": True, "manager-b": True, "manager-c": True},
    {"recipients": ["age1one", "age1two"], "bucket": "a", "second": {"bucket": "b"}},
    True,
)
TABLE = [
    ("good", GOOD, set()),
    ("five", replace(GOOD, zones=("a", "b", "c", "a", "b")), set()),
    ("locked at one site", replace(GOOD, backup={"recipients": ["x", "y"], "lock": {"days": 7}}), set()),
    ("two zones", replace(GOOD, zones=("a", "b", "a")), {"three-zones"}),
    ("a heavy zone", replace(GOOD, zones=("a", "a", "a", "b", "c")), {"three-zones"}),
    ("even", replace(GOOD, zones=("a", "b", "c", "d")), {"odd-managers"}),
    ("single", replace(GOOD, zones=("a",)), {"three-zones", "odd-managers"}),
    ("one recipient", replace(GOOD, backup={**GOOD.backup, "recipients": ["age1one"]}), {"recipients"}),
    ("example's recipient", replace(GOOD, backup={**GOOD.backup, "recipients": ["x", EXAMPLE]}), {"recipients"}),
    ("one site", replace(GOOD, backup={"recipients": ["x", "y"]}), {"second-site-or-lock"}),
    ("one recipient, twice", replace(GOOD, backup={**GOOD.backup, "recipients": ["x", "x"]}), {"recipients"}),
    ("a second prefix", replace(GOOD, backup={**GOOD.backup, "second": {"bucket": "a", "prefix": "x"}}), {"second-site-or-lock"}),
    ("the same server", replace(GOOD, backup={**GOOD.backup, "endpoint": "https://s3", "second": {"bucket": "a", "endpoint": "https://s3/"}}), {"second-site-or-lock"}),
    ("another server", replace(GOOD, backup={**GOOD.backup, "second": {"bucket": "a", "endpoint": "https://s3"}}), set()),
    ("a second prefix, locked", replace(GOOD, backup={**GOOD.backup, "second": {"bucket": "a"}, "lock": {"days": 7}}), set()),
    ("no agent", replace(GOOD, agent=False), {"agent"}),
    ("a busy manager", replace(GOOD, drained={**GOOD.drained, "manager-b": False}), {"drained-managers"}),
]  # fmt: skip


@pytest.mark.parametrize(("swarm", "broken"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_which_rules_a_swarm_breaks(swarm: Swarm, broken: set[str]) -> None:
    assert {rule.name for rule in RULES if list(rule.lacking(swarm))} == broken


def test_each_rule_can_be_broken() -> None:
    assert {name for *_, names in TABLE for name in names} == {rule.name for rule in RULES}


def test_the_example_is_the_one_of_the_product() -> None:
    assert EXAMPLE == EXAMPLES_RECIPIENT


def test_a_stack_without_a_swarm_breaks_nothing() -> None:
    assert swarm_of([]) is None
    assert swarm_of([(PROVIDER, {"version": "3.0.0"}), ("pulumi:pulumi:Stack", {})]) is None


@pytest.mark.parametrize(
    ("given", "has_one"), [("{}", True), ('{"schedule": "daily"}', True), ("", False), (None, False)]
)
def test_an_agent_without_options_is_one(given: str | None, has_one: bool) -> None:
    known = {"requorum:cluster": "lab", **({} if given is None else {"requorum:agent": given})}
    found = swarm_of([(PROVIDER, known), (MEMBER, {"name": "a", "role": "manager"})])
    assert found
    assert found.agent is has_one


def test_the_rules_read_what_the_program_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    resources: list[tuple[str, Mapping[str, Any]]] = []
    given = {"cluster": "lab", "backup": json.dumps(make.raw()["backup"]), "agent": json.dumps({"schedule": "daily"})}

    def seen(request: Any) -> None:
        resources.append((request.type, rpc.deserialize_properties(request.object)))

    pulumi.runtime.set_all_config({f"requorum:{key}": value for key, value in given.items()})
    cluster.build(make.settings(), monkeypatch, seen)
    found = swarm_of(resources)
    assert found
    assert sorted(found.zones) == ["a", "b", "c"]
    assert found.drained.keys() == {node.name for node in make.settings().managers}
    assert found.backup["recipients"] == make.raw()["backup"]["recipients"]
    assert found.agent
    assert {MEMBER, PROVIDER} <= {kind for kind, _ in resources}
