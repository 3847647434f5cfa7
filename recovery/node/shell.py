"""What is worked on: a machine that commands can be run on, and that has a Docker engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import IO, Protocol

ENGINE_SOCKET = "/var/run/docker.sock"
"""Where a machine's engine listens unless it is told otherwise (dockerd --host)."""
DATA_ROOT = "/var/lib/docker"
"""Where it keeps its data unless it is told otherwise (dockerd --data-root)."""
SHOWN = 800
"""Characters of a command's error output that an error message carries."""


class Machine(Protocol):
    """A machine as a swarm knows it."""

    @property
    def name(self) -> str:
        """Its host name."""

    @property
    def address(self) -> IPv4Address:
        """Its address for life."""


@dataclass(frozen=True)
class Output:
    """What a command printed, and its exit status."""

    stdout: bytes
    stderr: str
    status: int


class Shell(Protocol):
    """A machine at hand: over SSH (`recovery.node.ssh`), or the one that the agent runs on (`recovery.node.local`)."""

    @property
    def node(self) -> Machine:
        """Which machine it is."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Path | IO[bytes] | None = None,
        stdout: Path | None = None,
        seconds: float = 60,
        check: bool = True,
    ) -> Output:
        """Run a command, with what it reads and where its output goes given as bytes or local files; a pipe's end is read
        as the command reads, and closed.

        Raises: CommandFailed when it exits non-zero (unless ``check`` is off) or takes longer than
        ``seconds``; Silent when the machine is lost.
        """

    def engine_socket(self) -> Path:
        """A local socket that speaks to the machine's Docker engine."""
