"""Existing machines. Pulumi makes no machine and destroys no machine."""

import pulumi

from components.hosts.driver import Driver, Machine
from recovery.swarm.model import Survey


class Existing(Driver):
    """One machine for each node, identified by its ``/etc/machine-id``. Another value is another machine."""

    kind = "Existing"

    def __init__(self, cluster: str, seen: Survey) -> None:
        super().__init__(cluster)
        self._seen = seen

    def machine(self, machine: Machine) -> pulumi.Input[str]:
        """The identity that the machine has now. It declares nothing."""
        return self._seen.of(machine.node.name).machine or "unknown"
