"""A job of a pipeline: what it leaves behind (files, outputs, a summary), and what it tells the forge."""

import json
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import typer

from recovery.cli.console import err
from recovery.cli.show.contract import ERROR, USAGE
from recovery.errors import ForgeError, SettingError, shown
from recovery.forge.detect import find
from recovery.forge.forge import Forge, Note
from recovery.pipeline.markdown import cut
from recovery.pipeline.picture import REST

UNTOLD = 6
"""The exit status of a job that did its work, and could not tell the forge."""
SUMMARY_BYTES = 1_000_000
"""GitHub shows a summary of at most 1 MiB (docs.github.com, workflow commands)."""
FOLDER = Path("requorum-job")


class Job:
    """This job. What the forge does not accept is shown and counted, and the job goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.untold: list[ForgeError] = []

    @cached_property
    def forge(self) -> Forge | None:
        """The forge that runs this job; None if there is none, or if the job has no token for it."""
        try:
            return find(os.environ)
        except ForgeError as error:
            self._missed(error)
            return None

    @property
    def outside(self) -> bool:
        """Whether no forge runs this job."""
        return self.forge is None and not self.untold

    @property
    def run(self) -> str:
        """The address of this job; empty outside a forge."""
        if url := os.environ.get("CI_JOB_URL"):
            return url
        parts = [os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
        return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""

    def keep(self, name: str, content: str | Mapping[str, Any]) -> None:
        """Write a file for the job's artifacts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, indent=2) + "\n"
        (self.folder / name).write_text(text)

    def output(self, **values: str) -> None:
        """Set outputs of this step, for later steps and jobs. GitLab reads them from the file `outputs.env`."""
        lines = [(name, " ".join(value.split())) for name, value in values.items()]
        _append("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in lines))
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "outputs.env").open("a") as file:
            file.writelines(f"REQUORUM_{name.upper()}={value}\n" for name, value in lines)

    def summarize(self, markdown: str) -> None:
        """Add to the summary of the job. Without one, print it."""
        if not _append("GITHUB_STEP_SUMMARY", cut(markdown, SUMMARY_BYTES, REST) + "\n"):
            print(markdown)

    def tell(self, act: Callable[[Forge], Note | bool | None]) -> str:
        """Tell the forge, if there is one. Returns the address of what was told, if it has one."""
        if self.forge is None:
            return ""
        try:
            told = act(self.forge)
        except ForgeError as error:
            self._missed(error)
            return ""
        return told.url if isinstance(told, Note) else ""

    def fit(self, text: str) -> str:
        """The text, cut at the limit of the forge."""
        return cut(text, self.forge.limit, REST) if self.forge else text

    def end(self, status: int) -> NoReturn:
        """End the job. An error of its own work has precedence over what could not be told."""
        raise typer.Exit(UNTOLD if self.untold and status not in (ERROR, USAGE) else status)

    def _missed(self, error: ForgeError) -> None:
        self.untold.append(error)
        err.print(f"the forge was not told: {shown(error)}", style="yellow", markup=False, soft_wrap=True)


def status_of(error: Exception) -> int:
    """The exit status of an error."""
    return USAGE if isinstance(error, SettingError) else ERROR


def _append(variable: str, text: str) -> bool:
    """Append to the file that a variable names; whether there is one."""
    if not (name := os.environ.get(variable)):
        return False
    with Path(name).open("a") as file:
        file.write(text)
    return True
