"""Machines of Hetzner Cloud: one private network, and a server at a fixed address of it for each node."""

import json
import subprocess
from collections.abc import Mapping

import pulumi
import pulumi_hcloud as hcloud

from components.hosts.driver import Driver, Machine, main
from recovery.swarm.presence import Presence

# Change these to yours.
SUBNET = "10.20.0.0/16"
LOCATIONS = {"a": "fsn1", "b": "nbg1", "c": "hel1"}
SERVER_TYPE = "cx23"
IMAGE = "debian-13"


class Hetzner(Driver):
    """A replaced server asks for the address of its node again, after the old server is deleted."""

    _network: hcloud.NetworkSubnet | None = None

    def machine(self, machine: Machine) -> pulumi.Input[str]:
        """Declare the server of a node, and the network with the first of them."""
        subnet = self._network = self._network or self._made(machine.kept)
        server = hcloud.Server(
            machine.resource("server"),
            name=machine.name,
            server_type=SERVER_TYPE,
            image=IMAGE,
            location=LOCATIONS[machine.node.zone],
            labels={"cluster": self.cluster},
            networks=[hcloud.ServerNetworkArgs(subnet_id=subnet.id, ip=str(machine.node.address), alias_ips=[])],
            user_data=machine.user_data,
            # Neither a new image nor new user data may replace every machine at once.
            opts=machine.options.merge(pulumi.ResourceOptions(ignore_changes=["image", "userData"])),
        )
        return server.id

    def _made(self, kept: pulumi.ResourceOptions) -> hcloud.NetworkSubnet:
        network = hcloud.Network("network", name=self.cluster, ip_range=SUBNET, opts=kept)
        of_network = network.id.apply(int)
        return hcloud.NetworkSubnet(
            "subnet", network_id=of_network, type="cloud", network_zone="eu-central", ip_range=SUBNET, opts=kept
        )

    def known(self) -> Mapping[str, Presence]:
        """The servers with the label of the cluster."""
        listed = json.loads(_hcloud("list", "--selector", f"cluster={self.cluster}", "--output", "json"))
        off = ("off", "stopping")
        return {one["name"]: Presence.STOPPED if one["status"] in off else Presence.PRESENT for one in listed or ()}

    def fence(self, name: str) -> None:
        """Delete the server, with its disk."""
        _hcloud("delete", name)


def _hcloud(*arguments: str) -> str:
    return subprocess.run(["hcloud", "server", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(Hetzner)
