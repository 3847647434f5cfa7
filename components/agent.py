"""The agent of one manager, as a resource: installed, kept as the settings want it, and taken off again."""

from typing import Any

import pulumi
from pulumi.dynamic import (
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from components.progress import say
from components.settings import from_provider
from recovery import agents
from recovery.errors import TransportError
from recovery.settings import Node, Settings

Props = dict[str, Any]


class AgentProvider(ResourceProvider):
    """An agent whose digest differs, or whose timer or watch does not run, is installed again."""

    serialize_as_secret_always = False
    _settings: Settings

    def configure(self, req: ConfigureRequest) -> None:
        self._settings = from_provider(req)

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = any(olds.get(key) != news[key] for key in ("digest", "host"))
        return DiffResult(changes=changed or not olds["running"])

    def create(self, props: Props) -> CreateResult:
        return CreateResult(f"{props['manager']}-agent", self._install(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(self._install(news))

    def read(self, id_: str, props: Props) -> ReadResult:
        try:
            found = agents.look(self._settings, self._node(props))
        except TransportError:  # for the survey to judge
            return ReadResult(id_, props)
        wanted = self._settings.agent is None or found.watch or not self._settings.agent.on_change
        return ReadResult(id_, {**props, "digest": found.digest, "running": found.timer and wanted})

    def delete(self, _id: str, props: Props) -> None:
        if not agents.remove(self._settings, self._node(props)):
            say(f"{props['manager']} does not let us in: its agent, if it is there, stays")

    def _install(self, props: Props) -> Props:
        say(f"installing the agent of {props['manager']}")
        return {**props, "digest": agents.install(self._settings, self._node(props)), "running": True}

    def _node(self, props: Props) -> Node:
        return Node.model_validate(props["node"])


class Agent(Resource, module="requorum", name="Agent"):
    """One manager's agent."""

    def __init__(self, node: Node, settings: Settings, host: pulumi.Input[str], opts: pulumi.ResourceOptions) -> None:
        props: Props = {
            "manager": node.name,
            "node": node.model_dump(mode="json"),
            "digest": agents.digest(settings, node),
            "host": host,
            "running": None,
        }
        super().__init__(AgentProvider(), f"{node.name}-agent", props, opts)
