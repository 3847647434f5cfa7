"""The machines of a swarm, where they come from and how they are reached; and the options of the swarm itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from recovery.settings.base import Frozen
from recovery.swarm.machines import Node

EC2: Literal["ec2"] = "ec2"
"""Asks EC2 for the instance at the node's address."""


def filled(command: Sequence[str], node: Node) -> list[str]:
    """A configured command for a node."""
    return [argument.replace("{name}", node.name).replace("{address}", str(node.address)) for argument in command]


class Hosts(Frozen):
    """Where the machines come from: containers on Docker engines, existing machines, or the program that Pulumi runs."""

    driver: Literal["docker", "existing", "program"]
    image: str = ""
    endpoint: str = ""
    endpoints: Mapping[str, str] = Field(default_factory=dict)
    network: str = "swarm"
    identities: Path | None = None
    firewall: bool | None = None
    """None: on, but off in a swarm that was taken over."""
    install: bool = False
    """Whether an update installs what a node lacks, through the package manager of the node."""
    fence: tuple[str, ...] = ()
    """The command that switches a machine off, which is no container; ``{name}`` and ``{address}`` stand for the node's."""
    presence: Literal["ec2"] | tuple[str, ...] = ()
    """The command that says whether such a machine is running, stopped or gone; or `EC2`."""

    @property
    def made(self) -> bool:
        """Whether an update makes a machine that is gone again."""
        return self.driver != "existing"

    def endpoint_of(self, zone: str) -> str:
        """The Docker engine that carries a zone's node containers."""
        return self.endpoints.get(zone, self.endpoint)
