"""Runs `pulumi` in a job, so that it hears one signal, has time to end, and leaves no lock behind."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

from recovery.errors import LocalError
from recovery.pipeline.picture import Resources

EARLY_SECONDS = 5.0
"""A second signal within this time is not passed on. By the first, Pulumi ends after the resource it works on, and by the
second at once: then that resource stays pending in its state. A forge sends the second after 7.5 s, and kills after 10 s."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
TAIL = 30
"""The most lines of a failed preview that are shown."""
UNCHANGED = frozenset({"same", "read", "refresh"})
INTERRUPTED = 130


def run(words: Sequence[str], *, folder: Path) -> int:
    """Run `pulumi` with these words, its output on ours; its exit status. Raises: LocalError if it cannot be started.

    Pulumi has a process group of its own, so that a signal of the terminal or the forge reaches it once, by us.
    """
    require()
    with _signals() as passed:
        child = subprocess.Popen(["pulumi", *words], cwd=folder, process_group=0, stdin=subprocess.DEVNULL)
        passed.to(child)
        status = child.wait()
    return INTERRUPTED if passed.first is not None else status


def require() -> None:
    """Raises: LocalError if there is no pulumi on PATH."""
    if shutil.which("pulumi") is None:
        raise LocalError(
            "starting pulumi",
            "there is no pulumi on PATH",
            remedy="install Pulumi on the runner, then run the job again",
            code="no-program",
        )


def preview(words: Sequence[str], *, folder: Path) -> Resources:
    """What `pulumi preview` says of the resources. Raises: LocalError."""
    require()
    asked = ["pulumi", "preview", "--json", "--non-interactive", *words]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    return read_preview(done.returncode, done.stdout, done.stderr)


def read_preview(status: int, output: str, errors: str) -> Resources:
    """The resources in the answer of `pulumi preview --json`."""
    try:
        document: Mapping[str, Any] = json.loads(output)
    except ValueError:
        document = {}
    if status:
        said = [
            str(one.get("message", "")).rstrip()
            for one in document.get("diagnostics") or ()
            if one.get("severity") == "error"
        ]
        lines = "\n".join(said or [errors.strip() or "it said nothing"]).splitlines()
        return Resources(fault=tuple(lines[-TAIL:]))
    changed = (step for step in document.get("steps") or () if step["op"] not in UNCHANGED)
    return Resources(document.get("changeSummary") or {}, tuple((step["op"], *_of(step["urn"])) for step in changed))


def _of(urn: str) -> tuple[str, str]:
    """The type and the name of a resource, from its URN."""
    kind, _, name = urn.partition("::")[2].partition("::")[2].partition("::")
    return kind.rpartition("$")[2], name


class _Passed:
    """Passes signals on to a process: the first as SIGINT, which Pulumi expects, and a later one unless it is early."""

    def __init__(self) -> None:
        self.first: float | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def to(self, child: "subprocess.Popen[bytes]") -> None:
        """Pass signals on to this process, also the one that came before it was started."""
        self._child = child
        if self.first is not None:
            os.kill(child.pid, signal.SIGINT)

    def __call__(self, *_: int | FrameType | None) -> None:
        now = monotonic()
        early = self.first is not None and now - self.first < EARLY_SECONDS
        if self.first is None:
            self.first = now
        if self._child and not early and self._child.poll() is None:
            os.kill(self._child.pid, signal.SIGINT)


@contextmanager
def _signals() -> Iterator[_Passed]:
    """Within the context, signals to this process are passed on."""
    passed = _Passed()
    before = {number: signal.signal(number, passed) for number in SIGNALS}
    try:
        yield passed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
