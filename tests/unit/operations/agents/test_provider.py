"""The resource of an agent: whose node it dials, and what it sees."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from components.agent import AgentProvider
from components.command_line import Deletion
from recovery.agent.state import State
from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations import agents, ending
from recovery.operations.agents import AgentStatus
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.operations.agents.wanted import with_agent


class Provider:
    """The provider of an agent whose node is looked at, or has it removed, without one."""

    def __init__(self, of: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.provider, self.dialled = AgentProvider(), list[str]()
        self.provider._cluster = Cluster(of)
        self.found = AgentStatus("digest", timer=True, watch=True, waiting=0, state=State())
        monkeypatch.setattr(agents, "inspect", self._dial(lambda: self.found))
        monkeypatch.setattr(agents, "remove", self._dial(lambda: False))
        monkeypatch.setattr("components.agent.say", lambda line: self.dialled.append(line))

    def _dial(self, answer: Callable[[], Any]) -> Callable[..., Any]:
        def act(_: Cluster, node: Any) -> Any:
            self.dialled.append(node.dial)
            return answer()

        return act


@pytest.fixture
def provider(of: Settings, monkeypatch: pytest.MonkeyPatch) -> Provider:
    return Provider(of, monkeypatch)


def props(of: Settings, **changes: Any) -> dict[str, Any]:
    node = replace(of.managers[0], **changes)
    return {
        "manager": node.name,
        "node": node.to_json(),
        "digest": "digest",
        "host": "x",
        "running": True,
    }


@pytest.mark.parametrize(("wanted", "found"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_watch_that_runs_and_shall_not_is_seen(of: Settings, provider: Provider, wanted: bool, found: bool) -> None:
    provider.provider._cluster = Cluster(with_agent(of, on_change=wanted))
    provider.found = replace(provider.found, watch=found)
    read = provider.provider.read("x", props(of))
    assert read.outs
    assert read.outs["running"] is (wanted == found)


@pytest.mark.parametrize(
    ("olds", "news", "changes"),
    [
        ({}, {}, False),
        ({}, {"drift": ["requorum-copy.timer of its agent is not as installed"]}, True),
        ({"drift": ["requorum-copy.timer of its agent is not as installed"]}, {}, False),
        ({}, {"digest": "newer"}, True),
        ({"running": False}, {}, True),
    ],
)
def test_an_agent_that_differs_is_installed_again(
    of: Settings, provider: Provider, olds: dict[str, Any], news: dict[str, Any], changes: bool
) -> None:
    assert provider.provider.diff("x", {**props(of), **olds}, {**props(of), **news}).changes is changes


def test_a_node_is_dialled_where_the_settings_have_it_now(of: Settings, provider: Provider) -> None:
    was = props(of, ssh_address="192.0.2.9")
    read = provider.provider.read("x", was)
    assert provider.dialled == [of.managers[0].dial]
    assert read.outs
    assert read.outs["node"] == props(of)["node"]


def test_a_node_that_is_named_no_more_is_dialled_where_it_was(of: Settings, provider: Provider) -> None:
    gone = props(of, name="manager-z", address=IPv4Address("10.77.9.9"), ssh_address="192.0.2.9")
    provider.provider.delete("x", gone)
    assert provider.dialled[0] == "192.0.2.9"
    assert (
        f"ssh -i {of.ssh.private_key_file} root@192.0.2.9 systemctl disable --now requorum-watch.service requorum-copy.timer"
        in provider.dialled[1]
    )


@pytest.mark.parametrize("why", Deletion)
def test_an_agent_is_uninstalled_unless_another_resource_has_just_installed_it(
    of: Settings, provider: Provider, monkeypatch: pytest.MonkeyPatch, why: Deletion
) -> None:
    """As when its manager was given another name, or the resource is replaced."""
    monkeypatch.setattr("components.agent.deletion", lambda: why)
    monkeypatch.setattr(ending, "require_heard", lambda _: None)
    provider.provider._cluster = Cluster(with_agent(of))
    provider.provider.delete("x", props(of, name="earlier-name"))
    assert (provider.dialled == []) is (why is not Deletion.WHOLE)


def test_a_swarm_that_cannot_be_ended_keeps_its_agents(
    of: Settings, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulumi deletes agents before the proof, whose delete is refused then."""
    monkeypatch.setattr("components.agent.deletion", lambda: Deletion.WHOLE)
    existing = with_agent(of).model_copy(update={"hosts": of.hosts.model_copy(update={"driver": "existing"})})
    silent = make.survey([make.silent(node) for node in existing.nodes])
    monkeypatch.setattr(ending, "stable_survey", lambda _: silent)
    provider.provider._cluster = Cluster(existing)
    with pytest.raises(Refused, match=r"code: node-unreachable$"):
        provider.provider.delete("x", props(of))
    assert provider.dialled == []
