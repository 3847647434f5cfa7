"""Prepares a machine to be a swarm node, as `recovery.planning.preparation` says.

Requorum's own SSH connection runs the preparation. So the state holds the script, and no key.
"""

from datetime import datetime
from typing import Any

import pulumi
from pulumi.dynamic import ConfigureRequest, CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from components.identity import Identities
from components.progress import say
from components.settings import from_provider
from recovery.cluster import Cluster
from recovery.operations.prepare import prepare
from recovery.planning import preparation
from recovery.swarm.machines import Node

Props = dict[str, Any]
TIME_LIMIT = "20m"
FORMER_TYPE = "command:remote:Command"
"""The type of the resource in a state of an earlier release, which also held the operator's SSH key."""
FORMER = "connection"
"""The property of such a resource that holds the key."""


class PreparationProvider(ResourceProvider):
    """Runs the script of a machine again if the script or the machine is another. Takes over what earlier releases made."""

    serialize_as_secret_always = False
    _cluster: Cluster

    def configure(self, req: ConfigureRequest) -> None:
        self._cluster = from_provider(req)

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        return DiffResult(changes=FORMER in olds or _differs(olds, news))

    def create(self, props: Props) -> CreateResult:
        return CreateResult(f"{props['node']['address']}-prepared", self._prepare(props))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        if _differs(olds, news):
            return UpdateResult(self._prepare(news))
        return UpdateResult({**news, "host": _machine(olds)})

    def _prepare(self, props: Props) -> Props:
        known = Node.from_json(props["node"])
        node = next((node for node in self._cluster.settings.nodes if node.address == known.address), known)
        say(f"preparing {node.name}")
        prepare(self._cluster, node, props["stdin"])
        return props


class Prepared(Resource, module="requorum", name="Prepared"):
    """The script that prepared one machine, and the identity of the machine."""

    def __init__(
        self, name: str, node: Node, script: str, host: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> None:
        props: Props = {"node": node.to_json(), "stdin": script, "host": host}
        super().__init__(PreparationProvider(), name, props, opts)


class Preparation(pulumi.ComponentResource):
    """The preparation of one machine. It runs again if the machine is another, or is not as the preparation would leave it.

    What is on the machine decides, and not what the state remembers of the script. ``now`` tells one run from the run before.
    A ``silent`` machine keeps its preparation. A connection to it would only delay the others.
    """

    def __init__(
        self,
        node: Node,
        names: Identities,
        identity: pulumi.Input[str],
        silent: bool,
        wanted: preparation.Preparation,
        now: datetime,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        own = pulumi.ResourceOptions.merge(opts, names.aliases(node, "preparation"))
        super().__init__("requorum:node:Preparation", names.resource(node, "preparation"), None, own)
        again = f"# {now.isoformat()}\n" if wanted.drift else ""
        # Not "*": Pulumi would take that for the provider too, which a resource of an earlier release does not name.
        kept = ["stdin", "host"] if silent else ["stdin"] if wanted.known and not wanted.drift else None
        command = Prepared(
            names.resource(node, "prepared"),
            node,
            wanted.script + again,
            identity,
            names.aliases(node, "prepared", former=FORMER_TYPE).merge(
                pulumi.ResourceOptions(
                    parent=self,
                    ignore_changes=kept,
                    custom_timeouts=pulumi.CustomTimeouts(create=TIME_LIMIT, update=TIME_LIMIT),
                )
            ),
        )
        self.register_outputs({"identity": identity, "prepared": command.id})


def _differs(olds: Props, news: Props) -> bool:
    """Whether the script or the machine is another. An input that Pulumi was told to ignore is as it was, or is not there."""
    return bool(news["stdin"] != olds.get("stdin") or news.get("host", _machine(olds)) != _machine(olds))


def _machine(olds: Props) -> str:
    """The identity of the machine that was prepared; an earlier release has it among the triggers."""
    known: str | None = olds.get("host")
    return known if known is not None else next(iter(olds.get("triggers") or ()), "")
