"""Nodes as containers, on the Docker engine of each zone."""

from collections.abc import Mapping

import pulumi
import pulumi_docker as docker

from components.hosts import container
from components.hosts.driver import Driver, Machine
from components.identity import Identities
from recovery.settings import Settings
from recovery.survey.hosts import LABEL, volume_name


class Docker(Driver):
    """A network on every engine, and for every node a volume and a container at its fixed address.

    ``containers`` are the containers' names by node: a container keeps its name, and with it its host name, its volume and
    its SSH identity, when its node is given another name in the stack file.
    """

    kind = "Docker"

    def __init__(self, settings: Settings, names: Identities, containers: Mapping[str, str]) -> None:
        super().__init__(settings.cluster)
        self._settings, self._names, self._containers = settings, names, containers
        endpoints = sorted({settings.hosts.endpoint_of(node.zone) for node in settings.nodes})
        self._numbers = {endpoint: number for number, endpoint in enumerate(endpoints)}
        self._engines: dict[str, tuple[docker.Provider, docker.Network]] = {}

    def machine(self, machine: Machine) -> pulumi.Input[str]:
        """Declare the volume and the container of a node, and the network of its engine with the first of them."""
        node, names = machine.node, self._names
        provider, network = self._engine(self._settings.hosts.endpoint_of(node.zone), machine.kept.parent)
        by = pulumi.ResourceOptions(provider=provider)
        label, called = {"label": LABEL, "value": self._settings.cluster}, self._containers[node.name]
        volume = docker.Volume(
            names.resource(node, "volume"),
            name=volume_name(called),
            labels=[label],
            # A volume outlives its container, which may be made again after its node was given another name.
            opts=machine.kept.merge(by)
            .merge(names.aliases(node, "volume"))
            .merge(pulumi.ResourceOptions(ignore_changes=["name"])),
        )
        made = docker.Container(
            names.resource(node, "container"),
            name=called,
            hostname=called,
            image=self._settings.hosts.image,
            labels=[label],
            capabilities={"adds": list(container.ADD_CAPABILITIES), "drops": list(container.DROP_CAPABILITIES)},
            security_opts=list(container.SECURITY_OPTIONS),
            cgroupns_mode=container.CGROUP_NAMESPACE,
            tmpfs=dict.fromkeys(container.TMPFS, ""),
            stop_signal=container.STOP_SIGNAL,
            envs=[f"{key}={value}" for key, value in container.ENVIRONMENT.items()],
            networks_advanced=[{"name": network.name, f"ipv{node.address.version}_address": str(node.address)}],
            volumes=[
                {"volume_name": volume.name, "container_path": container.DATA_PATH},
                {
                    "host_path": f"{self._settings.hosts.identities}/{called}",
                    "container_path": container.IDENTITY_PATH,
                    "read_only": True,
                },
            ],
            destroy_grace_seconds=10,
            must_run=True,
            # A new image must not replace every manager at once: rebuild nodes one by one instead.
            # The official plugin never reads the security options back as they were written.
            opts=machine.options.merge(by)
            .merge(names.aliases(node, "container", plain=True))
            .merge(pulumi.ResourceOptions(ignore_changes=["image", "securityOpts"])),
        )
        identity: pulumi.Output[str] = made.id
        return identity

    def _engine(self, endpoint: str, parent: pulumi.Resource | None) -> tuple[docker.Provider, docker.Network]:
        if endpoint not in self._engines:
            number, here = self._numbers[endpoint], pulumi.ResourceOptions(parent=parent)
            provider = docker.Provider(f"engine-{number}", host=endpoint, opts=here)
            network = docker.Network(
                f"network-{number}",
                name=self._settings.hosts.network,
                driver="bridge",
                ipam_configs=[{"subnet": str(subnet)} for subnet in self._settings.subnet.every],
                ipv6=bool(self._settings.subnet.of(6)) or None,
                opts=here.merge(pulumi.ResourceOptions(provider=provider)),
            )
            self._engines[endpoint] = provider, network
        return self._engines[endpoint]
