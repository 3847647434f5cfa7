"""Instances of EC2 in three availability zones. A network interface holds the address of each node."""

from collections.abc import Mapping

import boto3
import pulumi
from pulumi_aws import ec2

from components.hosts.driver import Driver, Machine, main
from recovery.swarm.presence import Presence

# Change these to yours. Each subnet is in another availability zone, and has the addresses of the nodes of its zone.
SUBNETS = {"a": "subnet-0aaaaaaaaaaaaaaaa", "b": "subnet-0bbbbbbbbbbbbbbbb", "c": "subnet-0cccccccccccccccc"}
SECURITY_GROUP = "sg-0123456789abcdef0"
INSTANCE_TYPE = "t3.small"
AMI = "ami-0123456789abcdef0"


class Aws(Driver):
    """The interface outlives the instance, and a replaced instance gets it again."""

    def machine(self, machine: Machine) -> pulumi.Input[str]:
        """Declare the interface and the instance of a node."""
        interface = ec2.NetworkInterface(
            machine.resource("interface"),
            subnet_id=SUBNETS[machine.node.zone],
            private_ips=[str(machine.node.address)],
            security_groups=[SECURITY_GROUP],
            opts=machine.kept,
        )
        instance = ec2.Instance(
            machine.resource("instance"),
            ami=AMI,
            instance_type=INSTANCE_TYPE,
            primary_network_interface=ec2.InstancePrimaryNetworkInterfaceArgs(network_interface_id=interface.id),
            # Containers do not reach the metadata, which have the host key.
            metadata_options=ec2.InstanceMetadataOptionsArgs(http_tokens="required", http_put_response_hop_limit=1),
            tags={"Name": machine.name, "cluster": self.cluster},
            user_data=machine.user_data,
            # Neither a new image nor new user data may replace or stop every machine at once.
            opts=machine.options.merge(pulumi.ResourceOptions(ignore_changes=["ami", "userData"])),
        )
        return instance.id

    def known(self) -> Mapping[str, Presence]:
        """The instances with the tag of the cluster that are not terminated."""
        there = {"pending": Presence.PRESENT, "running": Presence.PRESENT}
        there |= {"stopping": Presence.STOPPED, "stopped": Presence.STOPPED}
        return {name: there[state] for name, _, state in self._listed() if state in there}

    def fence(self, name: str) -> None:
        """Terminate the instance, with its root disk."""
        ids = [id_ for called, id_, state in self._listed() if called == name and state != "terminated"]
        boto3.client("ec2").terminate_instances(InstanceIds=ids)

    def _listed(self) -> list[tuple[str, str, str]]:
        """The name, the ID and the state of each instance."""
        pages = boto3.client("ec2").get_paginator("describe_instances")
        found = pages.paginate(Filters=[{"Name": "tag:cluster", "Values": [self.cluster]}]).build_full_result()
        instances = [one for reservation in found["Reservations"] for one in reservation["Instances"]]
        names = [next(tag["Value"] for tag in one["Tags"] if tag["Key"] == "Name") for one in instances]
        return [(name, one["InstanceId"], one["State"]["Name"]) for name, one in zip(names, instances, strict=True)]


if __name__ == "__main__":
    main(Aws)
