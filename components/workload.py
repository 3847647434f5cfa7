"""What runs on the swarm: networks, secrets, configs and services of pulumi-docker, and the wait until the services are as defined.

They come after the proof of the cluster, so that a lost swarm is there again before anything of them changes. The provider
reaches the manager that has a leader now (`components.reach`). The swarm ends with its quorum, and they with it.
"""

from base64 import b64encode
from hashlib import scrypt, sha256

import pulumi
import pulumi_docker as docker

from components import reach
from components.membership import Quorum
from components.rollouts import Rollouts
from components.service import digest, given, labels
from components.settings import WORKLOAD, hidden, is_secret
from components.stacks import Stack
from recovery.operations.workload import stored
from recovery.settings import Settings
from recovery.settings.workload import Content, Network

DIGITS = 8
COST = {"n": 1 << 14, "r": 8, "p": 1}
"""Of scrypt: a name tells whoever lists secrets nothing that could be guessed quickly."""


class Workload(pulumi.ComponentResource):
    """The workload of the settings, on the swarm of a cluster that ``proven`` has proven."""

    def __init__(
        self, settings: Settings, quorum: Quorum, proven: pulumi.Resource, opts: pulumi.ResourceOptions
    ) -> None:
        assert settings.workload
        super().__init__("requorum:index:Workload", "workload", None, opts)
        self._settings, self._of = settings, settings.workload
        here = pulumi.ResourceOptions(parent=self)
        provider = docker.Provider(
            "swarm-engine",
            host=reach.HOST,
            ssh_opts=quorum.cluster_id.apply(lambda one: reach.ssh_options(settings.cluster, one)),
            opts=here,
        )
        self._opts = here.merge(pulumi.ResourceOptions(provider=provider, depends_on=[proven], deleted_with=quorum))
        networks = {name: self._network(name, network) for name, network in self._of.networks.items()}
        secrets = {name: self._secret(name, content) for name, content in self._of.secrets.items()}
        configs = {name: self._config(name, content) for name, content in self._of.configs.items()}
        # The engine's client adds the platforms that the registry has for the image.
        kept = self._once().merge(
            pulumi.ResourceOptions(
                ignore_changes=["taskSpec.placement.platforms"],
                # Pulumi keeps the outputs of a service that does not change. Earlier releases left its environment in plain there.
                additional_secret_outputs=["taskSpec"] if is_secret(WORKLOAD) else None,
            )
        )
        services = {
            name: docker.Service(name, name=name, **given(service, networks, secrets, configs), opts=kept)
            for name, service in self._of.services.items()
        }
        if services:
            Rollouts(
                "rollouts",
                quorum.cluster_id,
                quorum.generation,
                {name: service.id for name, service in services.items()},
                {name: digest(service) for name, service in self._of.services.items()},
                pulumi.ResourceOptions(parent=self, depends_on=list(services.values())),
            )
        for name, file in self._of.stacks.items():
            Stack(
                name,
                file,
                quorum.cluster_id,
                pulumi.ResourceOptions(parent=self, depends_on=[proven], deleted_with=quorum),
            )
        self.register_outputs({})

    def _once(self) -> pulumi.ResourceOptions:
        """The options of what keeps its name when it is replaced: two cannot be there at a time."""
        return self._opts.merge(pulumi.ResourceOptions(delete_before_replace=True))

    def _network(self, name: str, network: Network) -> pulumi.Input[str]:
        """The ID of a network."""
        if network.id:
            return network.id
        made = docker.Network(
            name,
            name=name,
            driver="overlay",
            attachable=network.attachable,
            internal=network.internal,
            options={"encrypted": ""} if network.encrypted else None,
            ipam_configs=[{"subnet": subnet} for subnet in network.subnets] or None,
            labels=labels(network.labels),
            opts=self._once(),
        )
        identity: pulumi.Output[str] = made.id
        return identity

    def _secret(self, name: str, content: Content) -> tuple[pulumi.Input[str], pulumi.Input[str]]:
        """The ID and the name of a secret."""
        if content.id:
            return content.id, name
        data = stored(f"workload.secrets.{name}", content)
        salt = f"{self._settings.cluster}/{name}".encode()
        called = f"{name}-{scrypt(data, salt=salt, dklen=DIGITS // 2, **COST).hex()}"
        made = docker.Secret(
            name,
            name=called,
            data=pulumi.Output.secret(b64encode(data).decode()),
            labels=labels(content.labels),
            opts=self._opts,
        )
        return made.id, called

    def _config(self, name: str, content: Content) -> tuple[pulumi.Input[str], pulumi.Input[str]]:
        """The ID and the name of a config."""
        if content.id:
            return content.id, name
        data = stored(f"workload.configs.{name}", content)
        called = hidden(WORKLOAD, f"{name}-{sha256(data).hexdigest()[:DIGITS]}")
        made = docker.ServiceConfig(
            f"{name}-config",
            name=called,
            data=hidden(WORKLOAD, b64encode(data).decode()),
            labels=labels(content.labels),
            opts=self._opts,
        )
        return made.id, called
