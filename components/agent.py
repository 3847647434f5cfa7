"""The agent of one manager as a resource. Pulumi installs, updates and uninstalls the agent."""

from collections.abc import Sequence
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

from components.command_line import Deletion, deletion
from components.identity import Identities
from components.progress import say
from components.settings import from_provider
from recovery.cluster import Cluster
from recovery.errors import TransportError
from recovery.operations import agents, ending
from recovery.settings import Settings
from recovery.swarm.machines import Node

Props = dict[str, Any]


class AgentProvider(ResourceProvider):
    """Installs an agent again if its digest or units differ, or if its timer or watch does not run as the settings say."""

    serialize_as_secret_always = False
    _cluster: Cluster

    def configure(self, req: ConfigureRequest) -> None:
        self._cluster = from_provider(req)

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = any(olds.get(key) != news[key] for key in ("digest", "host"))
        return DiffResult(changes=changed or not olds["running"] or bool(news.get("drift")))

    def create(self, props: Props) -> CreateResult:
        return CreateResult(f"{props['node']['address']}-agent", self._install(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(self._install(news))

    def read(self, id_: str, props: Props) -> ReadResult:
        try:
            found = agents.inspect(self._cluster, self._node(props))
        except TransportError:  # for the survey to judge
            return ReadResult(id_, props)
        agent = self._cluster.settings.agent
        running = found.timer and (agent is None or found.watch == agent.on_change)
        known = self._node(props).to_json()
        return ReadResult(id_, {**props, "node": known, "digest": found.digest, "running": running})

    def delete(self, _id: str, props: Props) -> None:
        """Uninstall the agent, unless another resource has just installed it: as when its manager was given another name."""
        node = self._node(props)
        managed = self._cluster.settings.agent and any(
            named.address == node.address for named in self._cluster.settings.managers
        )
        why = deletion()
        if managed and why is not Deletion.WHOLE:
            return
        if why is Deletion.WHOLE and not self._cluster.settings.protected:
            ending.require_heard(self._cluster)  # Pulumi deletes agents first, and a swarm that stays keeps them
        if not agents.remove(self._cluster, node):
            command = self._cluster.settings.ssh.command(node, "systemctl", "disable", "--now", agents.RUNNING)
            say(
                f"Requorum cannot log in to {node.name}, so its agent may still run. When the node answers, run: {command}"
            )

    def _install(self, props: Props) -> Props:
        say(f"installing the agent of {props['manager']}")
        return {**props, "digest": agents.install(self._cluster, self._node(props)), "running": True}

    def _node(self, props: Props) -> Node:
        """The machine as the settings have it now, or as they had it last if they no longer have it."""
        known = Node.from_json(props["node"])
        return next((node for node in self._cluster.settings.nodes if node.address == known.address), known)


class Agent(Resource, module="requorum", name="Agent"):
    """One manager's agent."""

    def __init__(
        self,
        node: Node,
        settings: Settings,
        names: Identities,
        host: pulumi.Input[str],
        drift: Sequence[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        props: Props = {
            "manager": node.name,
            "node": node.to_json(),
            "digest": agents.digest(settings, node),
            "host": host,
            **({"drift": list(drift)} if drift else {}),
            "running": None,
        }
        called = names.resource(node, "agent")
        super().__init__(AgentProvider(), called, props, opts.merge(names.aliases(node, "agent")))
