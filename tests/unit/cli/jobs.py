"""A project in which the jobs of a pipeline run: a forge as a real server, and a program in place of pulumi."""

import json
import os
import socket
from pathlib import Path

from typer.testing import CliRunner, Result

from recovery import cli
from tests.fake.cases import names
from tests.fake.forge import FakeForge

PATH = "stacks/Pulumi.lab.yaml"
FILE = "config:\n  requorum:cluster: lab\n"
ALL = frozenset(names(3))
ONE = frozenset({"manager-c"})
NOBODY = frozenset[str]()
HELD = {
    "pid": os.getpid(),
    "username": "u",
    "hostname": socket.gethostname(),
    "timestamp": "2999-01-02T03:04:05.123456789Z",
}
OUTSIDE = {"GITHUB_ACTIONS": "", "GITHUB_STEP_SUMMARY": "", "GITHUB_OUTPUT": ""}
"""No forge runs the job."""
PULUMI = """#!/bin/sh
echo "$@" >> "$PULUMI_CALLS"
case "$1" in
  preview) echo "$PREVIEWED" ;;
  up) cat "$(echo "$@" | sed 's/.*--config-file //')" >> "$PULUMI_CALLS" ;;
esac
[ -z "$PULUMI_DOES" ] || eval "$PULUMI_DOES"
exit ${PULUMI_STATUS:-0}
"""


class Project:
    """A project in a folder, with a forge."""

    def __init__(self, folder: Path, forge: FakeForge) -> None:
        self.folder, self.forge = folder, forge
        self.calls = folder / "calls"

    def job(self, *words: str, request: int | None = None, **more: str) -> Result:
        event = self.folder / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": request}} if request else {}))
        given = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.forge.url,
            "GITHUB_REPOSITORY": "acme/swarm",
            "GITHUB_TOKEN": self.forge.token,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "PREVIEWED": '{"changeSummary": {"same": 9}, "steps": []}',
            "PULUMI_CALLS": str(self.calls),
            "PULUMI_BACKEND_URL": f"file://{self.folder}/state",
            "PATH": f"{self.folder}:{os.environ['PATH']}",
        }
        return CliRunner().invoke(cli.app, ["ci", *words, "-s", "lab"], env=given | more)

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.folder / "output").read_text().splitlines())

    @property
    def pulumi(self) -> str:
        return self.calls.read_text() if self.calls.exists() else ""

    def lock(self) -> Path:
        """A lock of Pulumi whose holder is alive: it is this process."""
        made = self.folder / "state/.pulumi/locks/organization/requorum/lab/1.json"
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(json.dumps(HELD))
        return made
