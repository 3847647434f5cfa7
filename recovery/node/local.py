"""The machine that this process runs on, as a shell."""

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from recovery.errors import CommandFailed
from recovery.node.shell import ENGINE_SOCKET, SHOWN, Machine, Output


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
    ) -> Output:
        """Run a command. Raises: CommandFailed if it takes too long, or fails and ``check`` is on."""
        with ExitStack() as files:
            given: Any = {"input": stdin or b""} if stdin is None or isinstance(stdin, bytes) else {"stdin": stdin}
            if isinstance(stdin, Path):
                given = {"stdin": files.enter_context(stdin.open("rb"))}
            taken = files.enter_context(stdout.open("wb")) if stdout else subprocess.PIPE
            try:
                done = subprocess.run(argv, **given, stdout=taken, stderr=subprocess.PIPE, timeout=seconds)
            except subprocess.TimeoutExpired:
                raise self._failed(argv, f"it did not end within {seconds:.0f} s") from None
            except OSError as error:
                raise self._failed(argv, str(error.strerror)) from None
        said = done.stderr.decode(errors="replace")
        if check and done.returncode:
            raise self._failed(argv, f"exit status {done.returncode}: {said.strip()[-SHOWN:] or 'no message'}")
        return Output(done.stdout or b"", said, done.returncode)

    def engine_socket(self) -> Path:
        """The socket of this machine's engine."""
        return Path(ENGINE_SOCKET)

    def _failed(self, argv: Sequence[str], why: str) -> CommandFailed:
        remedy = "on the node: journalctl -u requorum-copy"
        return CommandFailed(f"running {argv[0]}", why, remedy=remedy, node=self.node.name, code="command-failed")
