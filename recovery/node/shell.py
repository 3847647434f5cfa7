"""Describes a machine on which commands can run, and which has a Docker engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from recovery.plain import line
from recovery.swarm.address import Address

DATA_ROOT = "/var/lib/docker"
"""The default data folder of a machine's engine (dockerd --data-root)."""
ANSWER = 1 << 20
"""The most bytes that a command may print, on each of its two outputs. A longer answer is no answer of ours."""
SHOWN = 800
"""Characters of a command's error output that an error message shows."""


def said(output: str) -> str:
    """The end of what a command printed, on one line: in a message, no line of it can look like one of ours."""
    return line(output)[-SHOWN:]


class Machine(Protocol):
    """A machine as a swarm knows it."""

    @property
    def name(self) -> str:
        """Its host name."""

    @property
    def address(self) -> Address:
        """Its address, which does not change."""


@dataclass(frozen=True)
class Output:
    """What a command printed, and its exit status."""

    stdout: bytes
    stderr: str
    status: int


class Shell(Protocol):
    """A machine that can be used: by SSH (`recovery.node.ssh`), or that of the agent (`recovery.node.local`)."""

    @property
    def node(self) -> Machine:
        """The machine of the shell."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Path | IO[bytes] | None = None,
        stdout: Path | None = None,
        seconds: float = 60,
        check: bool = True,
        most: int | None = None,
    ) -> Output:
        """Run a command. Its input is bytes, a local file, or the read end of a pipe, which is closed afterwards.

        ``stdout`` is a local file for the output, which may have up to ``most`` bytes; None is no limit. Without a file,
        the output has up to `ANSWER` bytes. Raises: CommandFailed if the command exits non-zero (unless ``check``
        is off) or takes longer than ``seconds``; Garbled if it prints too much; Silent if the connection is lost.
        """

    def engine_socket(self) -> Path:
        """The path of a local socket that is connected to the machine's Docker engine."""
