"""Nodes as containers, on the Docker engine of each zone."""

from collections.abc import Collection, Mapping

import pulumi
import pulumi_docker as docker

from components import hooks
from components.hosts import container
from components.identity import Identities
from recovery.cluster import Cluster
from recovery.survey.hosts import LABEL, volume_name
from recovery.swarm.machines import Node


class DockerHosts(pulumi.ComponentResource):
    """A network on every engine, and for every node a volume and a container at its fixed address.

    ``containers`` are the containers' names by node: a container keeps its name, and with it its host name, its volume and
    its SSH identity, when its node is given another name in the stack file.
    ``empty`` names the nodes that answer without swarm state. If a killed update left such a container, Requorum removes it
    before it makes the new container.
    """

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        identities: Identities,
        containers: Mapping[str, str],
        empty: Collection[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("requorum:hosts:Docker", name, None, opts)
        self._settings = settings = cluster.settings
        self._names, self._containers = identities, containers
        self._cluster, self._empty = cluster, empty
        self._engines = {
            endpoint: self._engine(number, endpoint)
            for number, endpoint in enumerate(
                sorted({settings.hosts.endpoint_of(node.zone) for node in settings.nodes})
            )
        }
        self.identities: Mapping[str, pulumi.Input[str]] = {node.name: self._host(node).id for node in settings.nodes}
        self.register_outputs({"identities": dict(self.identities)})

    def _engine(self, number: int, endpoint: str) -> tuple[pulumi.ResourceOptions, docker.Network]:
        provider = docker.Provider(f"engine-{number}", host=endpoint, opts=pulumi.ResourceOptions(parent=self))
        options = pulumi.ResourceOptions(parent=self, provider=provider)
        network = docker.Network(
            f"network-{number}",
            name=self._settings.hosts.network,
            driver="bridge",
            ipam_configs=[{"subnet": str(subnet)} for subnet in self._settings.subnet.every],
            ipv6=bool(self._settings.subnet.of(6)) or None,
            opts=options,
        )
        return options, network

    def _host(self, node: Node) -> docker.Container:
        options, network = self._engines[self._settings.hosts.endpoint_of(node.zone)]
        label = {"label": LABEL, "value": self._settings.cluster}
        kept = options.merge(pulumi.ResourceOptions(retain_on_delete=self._settings.protected or None))
        called = self._containers[node.name]
        volume = docker.Volume(
            self._names.resource(node, "volume"),
            name=volume_name(called),
            labels=[label],
            # A volume outlives its container, which may be made again after its node was given another name.
            opts=kept.merge(self._names.aliases(node, "volume")).merge(pulumi.ResourceOptions(ignore_changes=["name"])),
        )
        return docker.Container(
            self._names.resource(node, "container"),
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
            opts=options.merge(self._names.aliases(node, "container", plain=True)).merge(
                pulumi.ResourceOptions(
                    ignore_changes=["image", "securityOpts"],
                    delete_before_replace=True,
                    retain_on_delete=self._settings.protected or None,
                    hooks=hooks.around_host(self._cluster, node, empty=node.name in self._empty),
                )
            ),
        )
