"""The command that puts the shipped workflows into a project."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from recovery.cli.console import app, ended, examples, out
from recovery.operations import pipelines


class ForgeKind(StrEnum):
    """What runs the jobs."""

    GITHUB = "github"
    """Also Gitea and Forgejo."""
    GITLAB = "gitlab"
    TIMER = "timer"
    SERVICE = "service"
    """`requorum watch`, without a forge."""


NEXT = {
    ForgeKind.GITHUB: "see docs/pipelines-github.md for the rights, secrets and environments",
    ForgeKind.GITLAB: "see docs/pipelines-gitlab.md for the rights and variables",
    ForgeKind.SERVICE: "see docs/pipelines-service.md for the machine, its keys and how to consent",
    ForgeKind.TIMER: "see docs/pipelines-timer.md for the machine and the keys that may sign",
}


@app.command("ci init", epilog=examples("requorum ci init github", "requorum ci init timer --project /srv/requorum"))
def init(
    kind: Annotated[
        ForgeKind, typer.Argument(help="github (also Gitea and Forgejo), gitlab, timer or service (systemd).")
    ],
    project: Annotated[Path, typer.Option(help="The folder of the git repository.")] = Path(),
) -> None:
    """Write the workflows for a forge, a systemd timer or a service, into this project. Replaces no file."""
    with ended():
        made = pipelines.install(kind, project)
        for file in made:
            out.print(f"written: {file}", markup=False, soft_wrap=True)
        out.print("nothing to write" if not made else f"next: {NEXT[kind]}", markup=False, soft_wrap=True)
