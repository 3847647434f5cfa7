"""Runs commands on the machine of this process, with the interface of a shell."""

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from recovery.errors import CommandFailed
from recovery.node.shell import Machine, Output, said
from recovery.swarm.client import ENGINE_SOCKET


class Local:
    """Runs commands on this machine, and reaches its engine."""

    def __init__(self, node: Machine) -> None:
        self.node = node

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
        """Run a command. Raises: CommandFailed if it takes too long, or fails and ``check`` is on."""
        with ExitStack() as files:
            source: Any = {"input": stdin or b""} if stdin is None or isinstance(stdin, bytes) else {"stdin": stdin}
            if isinstance(stdin, Path):
                source = {"stdin": files.enter_context(stdin.open("rb"))}
            target = files.enter_context(stdout.open("wb")) if stdout else subprocess.PIPE
            try:
                done = subprocess.run(argv, **source, stdout=target, stderr=subprocess.PIPE, timeout=seconds)
            except subprocess.TimeoutExpired:
                raise self._failed(argv, f"it did not end within {seconds:.0f} s") from None
            except OSError as error:
                raise self._failed(argv, str(error.strerror)) from None
        message = done.stderr.decode(errors="replace")
        if check and done.returncode:
            raise self._failed(argv, f"exit status {done.returncode}: {said(message) or 'no message'}")
        if stdout and most is not None and stdout.stat().st_size > most:
            raise self._failed(argv, f"it printed more than {most} bytes")
        return Output(done.stdout or b"", message, done.returncode)

    def engine_socket(self) -> Path:
        """The socket of this machine's engine."""
        return Path(ENGINE_SOCKET)

    def _failed(self, argv: Sequence[str], why: str) -> CommandFailed:
        remedy = "on the node: journalctl -u requorum-copy"
        return CommandFailed(f"running {argv[0]}", why, remedy=remedy, node=self.node.name, code="command-failed")
