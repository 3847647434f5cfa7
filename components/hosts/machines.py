"""The machines of all nodes, which the driver of the settings makes."""

from collections.abc import Collection, Mapping

import pulumi

from components import hooks
from components.hosts.driver import Driver, Machine, called
from recovery.cluster import Cluster
from recovery.swarm.machines import Node


class Machines(pulumi.ComponentResource):
    """The machine of each node. ``identities`` tells one machine from another, by the node's name.

    ``empty`` names the nodes that answer without swarm state. ``user_data`` is what machines get at their first boot, by address.
    """

    def __init__(
        self,
        cluster: Cluster,
        driver: Driver,
        user_data: Mapping[str, str],
        empty: Collection[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(f"requorum:hosts:{driver.kind}", "hosts", None, opts)
        self._cluster, self._user_data, self._empty = cluster, user_data, empty
        self.identities: Mapping[str, pulumi.Input[str]] = {
            node.name: driver.machine(self._machine(node)) for node in cluster.settings.nodes
        }
        self.register_outputs({"identities": dict(self.identities)})

    def _machine(self, node: Node) -> Machine:
        settings, address = self._cluster.settings, str(node.address)
        kept = pulumi.ResourceOptions(parent=self, retain_on_delete=settings.protected or None)
        made = pulumi.ResourceOptions(delete_before_replace=True)
        if settings.hosts.made:
            made.hooks = hooks.around_host(self._cluster, node, empty=node.name in self._empty)
        return Machine(
            node,
            called(settings.cluster, address),
            pulumi.Output.secret(self._user_data.get(address, "")),
            kept.merge(made),
            kept,
        )
