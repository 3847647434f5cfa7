"""What every command shares: the application, its options, where it prints, and how it ends."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from recovery.cli import show
from recovery.errors import RequorumError, SettingError
from recovery.settings import Settings, load

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A Docker Swarm whose managers can all be lost, and are back by one pulumi up.",
)
WIDE = 200
"""Columns where the output is no terminal: lines stay whole for whoever reads them later."""
out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDE)

StackOption = Annotated[str, typer.Option(envvar="PULUMI_STACK", help="The stack whose file is read.")]
FileOption = Annotated[Path | None, typer.Option(help="The stack file itself, instead of stacks/Pulumi.STACK.yaml.")]
NodeArgument = Annotated[str, typer.Argument(help="The node's name in the stack file.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask before the first effect.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON (docs/json.md).")]


def agree(what: str, yes: bool) -> None:
    """Ask before the first effect. Raises: typer.Exit when the answer is no."""
    if not yes and not typer.confirm(f"{what}: do this?"):
        raise typer.Exit(show.ERROR)


@contextmanager
def loaded(stack: str, config_file: Path | None) -> Iterator[Settings]:
    """The settings of a stack; an error that is raised meanwhile is shown, and ends the command with its exit status."""
    try:
        yield _settings(stack, config_file)
    except RequorumError as error:
        err.print(str(error), style="red", markup=False)
        raise typer.Exit(show.USAGE if isinstance(error, SettingError) else show.ERROR) from None


def say(line: str) -> None:
    """Tell what is being done, beside the output proper."""
    err.print(line, style="dim", markup=False)


@contextmanager
def progress(doing: str, total: int | None, *, as_json: bool = False) -> Iterator[Callable[[], None]]:
    """A bar on standard error for as long as the context is, where that is a terminal and the output is not JSON.

    What is given moves it on by one. ``total`` is None where there are no steps to count: then it only shows the time.
    """
    counted = (BarColumn(), MofNCompleteColumn()) if total is not None else (BarColumn(),)
    with Progress(
        TextColumn("{task.description}", markup=False),
        *counted,
        TimeElapsedColumn(),
        console=err,
        transient=True,
        redirect_stdout=False,  # what is printed there is the output proper, which may be read by a program
        disable=as_json or not (sys.stderr.isatty() and err.is_interactive),
    ) as shown:
        task = shown.add_task(doing, total=total)
        yield lambda: shown.advance(task)


def print_json(document: dict[str, Any]) -> None:
    """A document of the contract (docs/json.md)."""
    print(json.dumps(document, indent=2))


def _settings(stack: str, config_file: Path | None) -> Settings:
    if config_file is None and not stack:
        raise SettingError(
            "(stack)", "no stack is named", remedy='--stack NAME, or PULUMI_STACK; in the lab: eval "$(make -s env)"'
        )
    folder = Path(os.environ.get("REQUORUM_PROJECT", "."))
    return load(config_file or folder / "stacks" / f"Pulumi.{stack}.yaml")
