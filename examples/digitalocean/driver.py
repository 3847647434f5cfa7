"""Droplets of DigitalOcean. The address of a node is a reserved address, because an address in a VPC cannot be chosen."""

import json
import subprocess
from collections.abc import Mapping

import pulumi
import pulumi_digitalocean as digitalocean

from components.hosts.driver import Driver, Machine, main
from recovery.swarm.presence import Presence

# Change these to yours.
REGIONS = {"a": "ams3", "b": "fra1", "c": "lon1"}
SIZE = "s-1vcpu-2gb"
IMAGE = "debian-13-x64"
FIRST_BOOT = """bootcmd:
- ip address replace {address}/32 dev lo
- ip route replace default via $(curl -s http://169.254.169.254/metadata/v1/interfaces/public/0/anchor_ipv4/gateway)
"""
"""At each boot, the droplet has its reserved address, and others see it at this address."""


class DigitalOcean(Driver):
    """A replaced droplet gets the reserved address of its node. The reserved addresses exist before."""

    def machine(self, machine: Machine) -> pulumi.Input[str]:
        """Declare the droplet of a node, and who has the address."""
        address = str(machine.node.address)
        droplet = digitalocean.Droplet(
            machine.resource("droplet"),
            name=machine.name,
            region=REGIONS[machine.node.zone],
            size=SIZE,
            image=IMAGE,
            tags=[self.cluster],
            user_data=machine.user_data.apply(lambda data: data + FIRST_BOOT.format(address=address)),
            # Neither a new image nor new user data may replace every machine at once.
            opts=machine.options.merge(pulumi.ResourceOptions(ignore_changes=["image", "userData"])),
        )
        holder = digitalocean.ReservedIpAssignment(
            machine.resource("address"), ip_address=address, droplet_id=droplet.id.apply(int), opts=machine.kept
        )
        # Not before it has its address, Requorum looks for the machine.
        return pulumi.Output.all(droplet.id, holder.id).apply(lambda both: str(both[0]))

    def known(self) -> Mapping[str, Presence]:
        """The droplets with the tag of the cluster."""
        listed = json.loads(_doctl("list", "--tag-name", self.cluster, "--output", "json"))
        return {one["name"]: Presence.STOPPED if one["status"] == "off" else Presence.PRESENT for one in listed or ()}

    def fence(self, name: str) -> None:
        """Delete the droplet, with its disk."""
        _doctl("delete", name, "--force")


def _doctl(*arguments: str) -> str:
    argv = ["doctl", "compute", "droplet", *arguments]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(DigitalOcean)
