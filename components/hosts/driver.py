"""What makes the machines of a cluster. A driver of your own is a subclass of `Driver` (docs/drivers.md)."""

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi

from recovery.survey.presence import WORDS
from recovery.swarm.machines import Node
from recovery.swarm.presence import Presence

USAGE = "CLUSTER presence|fence ADDRESS…"


@dataclass(frozen=True)
class Machine:
    """The machine that a node needs."""

    node: Node
    """Its address never changes, and its zone and role say where it belongs. Its name is a label, which may change."""
    name: str
    """What the platform calls the machine: the same for the life of the address."""
    user_data: pulumi.Output[str]
    """The cloud-init configuration, which is secret: it has the private half of the pinned host key. Empty for other drivers."""
    options: pulumi.ResourceOptions
    """The options of the resource that is the machine: parent, hooks, and what becomes of the old machine."""
    kept: pulumi.ResourceOptions
    """The options of resources that outlive a machine, such as its address or its disk."""

    def resource(self, kind: str) -> str:
        """What Pulumi calls a resource of this machine."""
        return f"{self.node.address}-{kind}"


class Driver(ABC):
    """Makes machines, and may say what it knows of them and switch them off."""

    kind: ClassVar[str] = "Program"
    """What Pulumi calls the component of all machines: ``requorum:hosts:KIND``."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster

    @abstractmethod
    def machine(self, machine: Machine) -> pulumi.Input[str]:
        """Declare the resources of one machine. Returns its identity, such as the ID of an instance: another value is
        another machine.

        The machine gets the address of its node, at once and after each replacement.
        """

    def known(self) -> Mapping[str, Presence]:
        """All machines of the cluster that the platform has, by their names. One that is not here is gone.

        It runs without Pulumi. An exception says that nothing is known.
        """
        raise NotImplementedError(f"{type(self).__name__} knows nothing of machines")

    def fence(self, name: str) -> None:
        """Switch a machine off for good: remove it, so that the next update makes it again. It runs without Pulumi.

        An exception says that it may still run.
        """
        raise NotImplementedError(f"{type(self).__name__} does not switch {name} off")


def called(cluster: str, address: str) -> str:
    """What a platform calls the machine at an address: letters, digits and hyphens, at most 63."""
    return f"{cluster[:22]}-{re.sub('[^0-9a-f]', '-', address)}".rstrip("-")


def presence(driver: Driver, addresses: Sequence[str]) -> Sequence[str]:
    """What `requorum:hosts.presence` prints of these machines, a line for each."""
    known, words = driver.known(), {meant: word for word, meant in WORDS.items()}
    return [f"{one} {words[known.get(called(driver.cluster, one), Presence.GONE)]}" for one in addresses]


def main(driver: type[Driver]) -> None:
    """Be the command of `requorum:hosts.presence` and `requorum:hosts.fence`."""
    match sys.argv[1:]:
        case [cluster, "presence", *addresses]:
            print("\n".join(presence(driver(cluster), addresses)))
        case [cluster, "fence", address]:
            driver(cluster).fence(called(cluster, address))
        case _:
            raise SystemExit(f"usage: {sys.argv[0]} {USAGE}")
