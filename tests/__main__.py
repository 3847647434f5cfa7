"""``python -m tests``: what `make test` runs, part by part, and the seconds of each at the end. ``--whole``: what `make nightly` runs.

The losses on the fake swarm only compute, and tests on the lab mostly wait: they run beside each other, the former with what
the latter leave of the processors. What the former print is shown after the latter.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = (sys.executable, "-m", "pytest", "-q")
REPLAY = ("nice", "-n", "19", *PYTEST, "-n", "1", "tests/replay")
S3 = (*PYTEST, "-n", "auto", "tests/s3", "tests/pipelines", "tests/browser")
LAB = (sys.executable, "-m", "tests.lab")


def tools() -> Mapping[str, str]:
    """The environment in which Pulumi, the S3 servers and `requorum` are found."""
    made = subprocess.run(["toolchain/install"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    path = os.pathsep.join((str(ROOT / ".venv/bin"), str(ROOT / "bin"), made, os.environ["PATH"]))
    return {**os.environ, "PATH": path}


class Parts:
    """Commands one after the other, and how long each took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, name: str, *command: str, environment: Mapping[str, str] = os.environ) -> int:
        """Run one to its end; its exit status."""
        begun = time.monotonic()
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        self.seconds[name] = time.monotonic() - begun
        return status

    def told(self) -> str:
        """All of it, in a line."""
        parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
        return f"{sum(self.seconds.values()):.0f} s: {parts}"


def main(*options: str) -> int:
    """Run every part with pytest's options; what is cheap comes first and ends the run where it fails."""
    parts = Parts()
    for name, verb in (("set-up", "setup"), ("checks and unit tests", "check")):
        if status := parts.run(name, "make", verb, f"OPTIONS={' '.join(options)}"):
            return status
    environment = tools()
    if status := parts.run("S3 servers, Pulumi and pages", *S3, *options, environment=environment):
        return status
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen([*REPLAY, *options], cwd=ROOT, stdout=said, stderr=subprocess.STDOUT) as replay:
            status = parts.run("lab", *LAB, *options, environment=environment)
            begun = time.monotonic()
            replayed = replay.wait()
        parts.seconds["fake swarm, after the lab"] = time.monotonic() - begun
        said.seek(0)
        print(said.read().decode(), end="")
    print(f"the tests took {parts.told()}")
    return status or replayed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
