"""What Pulumi calls the resources of a node: by its address, which is its machine's. Its name in the stack file is a label.

A state of an earlier release calls them by name. Aliases let today's resources take those over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import pulumi

from recovery.settings import Settings
from recovery.settings.placement import names_by_position
from recovery.swarm.address import as_name
from recovery.swarm.machines import Node
from recovery.swarm.moved import AddressChange


@dataclass(frozen=True)
class Identities:
    """The names of all nodes' resources. `of` makes them."""

    before: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What else the resources of a node may be called in the state, by its address."""

    def resource(self, node: Node, kind: str) -> str:
        """The name of a resource of the node."""
        return f"{_called(str(node.address))}-{kind}"

    def aliases(self, node: Node, kind: str, *, plain: bool = False, former: str = "") -> pulumi.ResourceOptions:
        """The other names of that resource. With ``plain``, an earlier release called it just like its node.

        ``former`` is the type that the resource had in an earlier release, under any of its names.
        """
        names = self.before.get(str(node.address), ())
        # An address has dots or colons, and a node's name has none.
        known = [name if plain and not set(name) & set(".:") else f"{_called(name)}-{kind}" for name in names]
        aliases = [pulumi.Alias(name=name) for name in known]
        if former:
            aliases += [pulumi.Alias(name=name, type_=former) for name in (self.resource(node, kind), *known)]
        return pulumi.ResourceOptions(aliases=aliases)


def _called(name: str) -> str:
    """A name or an address as a resource is called by it. The parts of a URN stand between colons, so it has none."""
    return as_name(ip_address(name)) if ":" in name else name


def of(settings: Settings, moved: Sequence[AddressChange], machines: Mapping[str, str]) -> Identities:
    """The names, with those that the resources had before.

    A manager that moved had its old address, if no other node has that now. ``machines`` are the names of node containers,
    by the node's name: an earlier release called all resources of a node like its container.
    """
    taken = {str(node.address) for node in settings.nodes}
    olds = {move.new: move.old for move in moved if move.old not in taken}
    numbered = names_by_position(settings.workers)

    def names(node: Node) -> tuple[str, ...]:
        address, machine = str(node.address), machines.get(node.name, node.name)
        name = numbered.get(address, machine) if machine == node.name else machine
        return (name, *([olds[address]] if address in olds else []))

    return Identities({str(node.address): names(node) for node in settings.nodes})
