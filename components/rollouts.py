"""The wait until the services of the workload are as defined. Pulumi's own resources of services do not wait, and tell nothing."""

from collections.abc import Mapping
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
from recovery.errors import RequorumError
from recovery.operations import lifecycle, services

Props = dict[str, Any]


class RolloutsProvider(ResourceProvider):
    """Waits for services whose definition changed, or whose update is paused. While the swarm is lost, nothing changes here."""

    serialize_as_secret_always = False
    _cluster: Cluster

    def configure(self, req: ConfigureRequest) -> None:
        self._cluster = from_provider(req)

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = any(olds.get(key) != news[key] for key in ("cluster_id", "generation", "services", "definitions"))
        return DiffResult(changes=changed or bool(olds.get("unsettled")))

    def create(self, props: Props) -> CreateResult:
        return CreateResult(f"{props['cluster_id']}-rollouts", self._settled(props, {}, restored=False))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        restored = olds.get("generation") != news["generation"]
        return UpdateResult(self._settled(news, olds.get("begun") or {}, restored=restored))

    def read(self, id_: str, props: Props) -> ReadResult:
        try:
            found = services.look(self._cluster, props["cluster_id"], props["services"])
        except RequorumError:  # for the survey to judge
            return ReadResult(id_, props)
        return ReadResult(id_, {**props, "unsettled": list(found.unsettled), "begun": dict(found.begun)})

    def delete(self, _id: str, _props: Props) -> None:
        """Services are their own resources."""

    def _settled(self, props: Props, known: Mapping[str, str], *, restored: bool) -> Props:
        begun = services.await_defined(
            self._cluster,
            props["cluster_id"],
            props["services"],
            known=known,
            restored=restored,
            say=say,
        )
        lifecycle.fresh_copies(self._cluster, say=say)
        return {**props, "unsettled": [], "begun": dict(begun)}


class Rollouts(Resource, module="requorum", name="Rollouts"):
    """One for the whole workload. ``generation`` is the quorum's. ``services`` are the services' IDs, and ``definitions`` tell one definition from another, by name.

    The state holds the definitions encrypted: who reads a digest could guess a password of an environment.
    """

    def __init__(
        self,
        name: str,
        cluster_id: pulumi.Input[str],
        generation: pulumi.Input[int],
        services: Mapping[str, pulumi.Input[str]],
        definitions: Mapping[str, str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        props: Props = {
            "cluster_id": cluster_id,
            "generation": generation,
            "services": dict(services),
            "definitions": pulumi.Output.secret(dict(definitions)),
            **dict.fromkeys(("unsettled", "begun")),
        }
        super().__init__(
            RolloutsProvider(),
            name,
            props,
            opts.merge(pulumi.ResourceOptions(additional_secret_outputs=["definitions"])),
        )
