"""A stack of the workload: a compose file that the engine's own `docker stack deploy` deploys."""

from pathlib import Path
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
from recovery.cluster import Cluster
from recovery.errors import RequorumError, SettingError
from recovery.operations import lifecycle, stacks
from recovery.planning import compose

Props = dict[str, Any]


class StackProvider(ResourceProvider):
    """Deploys a stack again if its compose file changed, or if somebody changed its services. Keeps it while the swarm is lost."""

    serialize_as_secret_always = False
    _cluster: Cluster

    def configure(self, req: ConfigureRequest) -> None:
        self._cluster = from_provider(req)

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Pulumi calls this for a preview too, which therefore says what a deployment changes."""
        name, before, after = news["stack"], olds["digests"], news["digests"]
        if same := compose.unchangeable(before, after):
            raise SettingError(
                f"workload.stacks.{name}",
                f"its {same[0]} has another content, and the swarm does not change one",
                remedy="give it another `name` in the compose file",
                code="compose-invalid",
            )
        lines = compose.changes(name, before, after)
        changed_by_hand = [f"stack {name}: {one} is not as it was deployed" for one in olds.get("drift") or ()]
        for line in (*lines, *changed_by_hand):
            say(line)
        moved = olds["cluster_id"] != news["cluster_id"]
        return DiffResult(changes=bool(lines or changed_by_hand or moved))

    def create(self, props: Props) -> CreateResult:
        return CreateResult(f"{props['cluster_id']}-{props['stack']}", self._deployed(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(self._deployed(news))

    def read(self, id_: str, props: Props) -> ReadResult:
        try:
            now = stacks.deployed(self._cluster, props["cluster_id"], props["stack"])
        except RequorumError:  # for the survey to judge
            return ReadResult(id_, props)
        known = props.get("services") or {}
        drift = sorted(name for name in known.keys() | now.keys() if known.get(name) != now.get(name))
        return ReadResult(id_, {**props, "drift": drift})

    def delete(self, _id: str, props: Props) -> None:
        stacks.remove(self._cluster, props["cluster_id"], props["stack"])

    def _deployed(self, props: Props) -> Props:
        project = stacks.read(props["stack"], Path(props["file"]))
        services = stacks.deploy(self._cluster, props["cluster_id"], props["stack"], project, say=say)
        lifecycle.fresh_copies(self._cluster, say=say)
        return {**props, "services": dict(services), "drift": []}


class Stack(Resource, module="requorum", name="Stack"):
    """One compose file. Its state holds digests, and none of its text: that may hold secrets.

    The digests are encrypted too: who reads them could guess a password.
    """

    def __init__(self, name: str, file: Path, cluster_id: pulumi.Input[str], opts: pulumi.ResourceOptions) -> None:
        project = stacks.read(name, file)
        props: Props = {
            "stack": name,
            "file": str(file),
            "cluster_id": cluster_id,
            "digests": pulumi.Output.secret({part: dict(keys) for part, keys in project.digests.items()}),
            **dict.fromkeys(("services", "drift")),
        }
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["digests", "services"])
        super().__init__(StackProvider(), f"stack-{name}", props, opts.merge(hidden))
