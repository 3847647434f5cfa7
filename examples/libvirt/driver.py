"""Virtual machines on three hosts with libvirt, one host for each zone. They are on a bridge of their host."""

import subprocess
from collections.abc import Mapping

import pulumi
import pulumi_libvirt as libvirt
import yaml

from components.hosts.driver import Driver, Machine, main
from recovery.swarm.presence import Presence

# Change these to yours. The image is a cloud image in the storage pool of each host.
HOSTS = {
    "a": "qemu+ssh://root@host-a/system",
    "b": "qemu+ssh://root@host-b/system",
    "c": "qemu+ssh://root@host-c/system",
}
POOL, IMAGE, BRIDGE = "default", "debian-13-genericcloud-amd64.qcow2", "br0"
PREFIX, GATEWAY, NAMESERVER = 16, "10.20.0.1", "10.20.0.1"
MEMORY, DISK = 2048, 20 * 1024**3


class Libvirt(Driver):
    """The network configuration of a machine gives it the address of its node, also after a replacement."""

    _hosts: Mapping[str, libvirt.Provider] = {}

    def machine(self, machine: Machine) -> pulumi.Input[str]:
        """Declare the disk, the first boot and the machine of a node, on the host of its zone."""
        zone = machine.node.zone
        self._hosts = self._hosts or {name: libvirt.Provider(f"host-{name}", uri=uri) for name, uri in HOSTS.items()}
        there = pulumi.ResourceOptions(provider=self._hosts[zone])
        # Neither a new image nor new user data may replace every machine at once.
        disk = libvirt.Volume(
            machine.resource("disk"),
            name=machine.name,
            pool=POOL,
            base_volume_name=IMAGE,
            size=DISK,
            opts=machine.options.merge(there).merge(pulumi.ResourceOptions(ignore_changes=["baseVolumeName"])),
        )
        wired = {"match": {"name": "e*"}, "addresses": [f"{machine.node.address}/{PREFIX}"]}
        route = {"routes": [{"to": "default", "via": GATEWAY}], "nameservers": {"addresses": [NAMESERVER]}}
        first_boot = libvirt.CloudInitDisk(
            machine.resource("first-boot"),
            name=f"{machine.name}.iso",
            pool=POOL,
            user_data=machine.user_data,
            network_config=yaml.safe_dump({"version": 2, "ethernets": {"wired": {**wired, **route}}}),
            opts=machine.kept.merge(there).merge(pulumi.ResourceOptions(ignore_changes=["userData"])),
        )
        domain = libvirt.Domain(
            machine.resource("machine"),
            name=machine.name,
            vcpu=2,
            memory=MEMORY,
            autostart=True,
            cloudinit=first_boot.id,
            disks=[libvirt.DomainDiskArgs(volume_id=disk.id)],
            network_interfaces=[libvirt.DomainNetworkInterfaceArgs(bridge=BRIDGE)],
            opts=machine.options.merge(there).merge(pulumi.ResourceOptions(replace_on_changes=["disks"])),
        )
        return domain.id

    def known(self) -> Mapping[str, Presence]:
        """The machines of all hosts. If a host does not answer, nothing is known of any machine."""
        found: dict[str, Presence] = {}
        for host in HOSTS.values():
            found |= dict.fromkeys(_virsh(host, "list", "--all", "--name").split(), Presence.STOPPED)
            found |= dict.fromkeys(_virsh(host, "list", "--name").split(), Presence.PRESENT)
        return found

    def fence(self, name: str) -> None:
        """Destroy the machine, and its disk with it."""
        (host,) = (host for host in HOSTS.values() if name in _virsh(host, "list", "--all", "--name").split())
        if name in _virsh(host, "list", "--name").split():
            _virsh(host, "destroy", name)
        _virsh(host, "undefine", name, "--remove-all-storage")


def _virsh(host: str, *arguments: str) -> str:
    argv = ["virsh", "--connect", host, *arguments]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(Libvirt)
