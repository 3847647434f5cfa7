"""Instances of Google Compute Engine in three zones of a region, each at a static internal address."""

import json
import subprocess
from collections.abc import Mapping

import pulumi
from pulumi_gcp import compute

from components.hosts.driver import Driver, Machine, main
from recovery.swarm.presence import Presence

# Change these to yours.
REGION = "europe-west1"
ZONES = {"a": "europe-west1-b", "b": "europe-west1-c", "c": "europe-west1-d"}
SUBNETWORK = "default"
MACHINE_TYPE = "e2-small"
IMAGE = "ubuntu-os-cloud/ubuntu-2404-lts-amd64"  # Google's images of Debian have no cloud-init


class Google(Driver):
    """The static address outlives the instance, and a replaced instance gets it again."""

    def machine(self, machine: Machine) -> pulumi.Input[str]:
        """Declare the address and the instance of a node."""
        address = compute.Address(
            machine.resource("address"),
            name=machine.name,
            address_type="INTERNAL",
            address=str(machine.node.address),
            region=REGION,
            subnetwork=SUBNETWORK,
            opts=machine.kept,
        )
        disk = compute.InstanceBootDiskInitializeParamsArgs(image=IMAGE, size=20)
        instance = compute.Instance(
            machine.resource("instance"),
            name=machine.name,
            zone=ZONES[machine.node.zone],
            machine_type=MACHINE_TYPE,
            labels={"cluster": self.cluster},
            boot_disk=compute.InstanceBootDiskArgs(initialize_params=disk),
            network_interfaces=[
                compute.InstanceNetworkInterfaceArgs(subnetwork=SUBNETWORK, network_ip=address.address)
            ],
            metadata={"user-data": machine.user_data},
            # Neither a new image nor new user data may replace every machine at once.
            opts=machine.options.merge(pulumi.ResourceOptions(ignore_changes=["bootDisk", "metadata"])),
        )
        return instance.instance_id

    def known(self) -> Mapping[str, Presence]:
        """The instances with the label of the cluster."""
        listed = json.loads(_gcloud("list", f"--filter=labels.cluster={self.cluster}", "--format=json"))
        up = ("PROVISIONING", "STAGING", "RUNNING", "REPAIRING")
        return {one["name"]: Presence.PRESENT if one["status"] in up else Presence.STOPPED for one in listed}

    def fence(self, name: str) -> None:
        """Delete the instance, with its boot disk."""
        (zone,) = _gcloud("list", f"--filter=name={name}", "--format=value(zone.basename())").split()
        _gcloud("delete", name, f"--zone={zone}", "--quiet")


def _gcloud(*arguments: str) -> str:
    argv = ["gcloud", "compute", "instances", *arguments]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(Google)
