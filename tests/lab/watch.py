"""Watches for secrets: in the arguments of every process of this machine and its nodes, and in what commands print."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lab.stack import Result, Stack

PAUSE = 0.05


class Watch:
    """Every command line seen, and everything that was printed."""

    def __init__(self) -> None:
        self.command_lines: set[bytes] = set()
        self.printed: list[str] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def places(self, secret: str) -> list[str]:
        """Where a secret was seen, without saying it."""
        found = ["the arguments of a process"] if any(secret.encode() in line for line in self.command_lines) else []
        return found + ["what a command printed"] * any(secret in text for text in self.printed)

    def _look(self) -> None:
        while not self._done.wait(PAUSE):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    self.command_lines.add((process / "cmdline").read_bytes())


@contextmanager
def watch() -> Iterator[Watch]:
    """Watch until the end of the context. Nodes are containers here, so their processes are this machine's."""
    watching, run = Watch(), Stack._run

    def recorded(self: Stack, *given: object, **named: object) -> Result:
        result: Result = run(self, *given, **named)  # type: ignore[arg-type]
        watching.printed += [result.text, result.errors]
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stack, "_run", recorded)
        watching._thread.start()
        yield watching
        watching._done.set()
        watching._thread.join()
