"""Whose a copy is: a copy belongs to the machine that was copied, whatever the stack file called it then."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from recovery.copies.manifest import Manifest
from recovery.swarm.machines import Node


@dataclass(frozen=True)
class Owners:
    """The nodes of the settings, by what a manifest tells of its own manager. `known` makes it."""

    nodes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Their names, by the CA and the node ID of copies that were taken at their addresses.

    A copy under a CA of somebody's own may claim any node ID, and tells nothing about the copies of the swarm.
    """
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Their names, by address. A worker is among them: it may have been a manager."""

    def machine(self, manifest: Manifest) -> str | None:
        """The name of the node that a copy was taken of: it had this node ID or is at this address. None if it is not known."""
        return self.nodes.get((manifest.ca_sha256, manifest.node_id)) or self.addresses.get(manifest.address)

    def of(self, manifest: Manifest) -> str:
        """The name under which a copy is listed, kept and restored: its manager's name now, or else the name of that time.

        A manager that moved is known by its name, until it has a copy from its new address. After that, what is under its name
        belongs to an earlier machine.
        """
        name = manifest.manager
        return self.machine(manifest) or (f"{name} at {manifest.address}" if name in self.nodes.values() else name)


NOBODY_RENAMED = Owners()
"""Every copy belongs to the name in its manifest."""


def known(nodes: Iterable[Node], manifests: Iterable[Manifest]) -> Owners:
    """The owners of copies, as far as these manifests tell, the oldest first."""
    addresses = {str(node.address): node.name for node in nodes}
    found = (((one.ca_sha256, one.node_id), addresses.get(one.address)) for one in manifests)
    return Owners({key: name for key, name in found if name}, addresses)
