"""What every command shares: the application, its options, where it prints, and how it ends."""

import json
import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

from recovery.cli.commands import Commands
from recovery.cli.show.contract import ERROR, USAGE, error_json
from recovery.errors import RequorumError, SettingError

if TYPE_CHECKING:
    from recovery.cluster import Cluster
    from recovery.settings import Settings

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Run a Docker Swarm that survives the loss of every manager: recover the managers from copies in S3.",
)
WIDE = 200
"""The width of output that does not go to a terminal, so that lines stay whole."""
out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDE)

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"

StackOption = Annotated[str, typer.Option(envvar="PULUMI_STACK", help="The name of the stack.")]
FileOption = Annotated[Path | None, typer.Option(help="The stack file, instead of stacks/Pulumi.STACK.yaml.")]
NodeArgument = Annotated[str, typer.Argument(help="The node's name in the stack file.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask before the first change.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON (docs/json.md).")]


def _show_version(asked: bool) -> None:
    if asked:
        print(f"requorum {tomllib.loads(PYPROJECT.read_text())['project']['version']}")
        raise typer.Exit


@app.callback()
def _every_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that come before a command."""


def agree(what: str, yes: bool) -> None:
    """Ask for consent before the first change. Raises: typer.Exit if the answer is no."""
    if not yes and not typer.confirm(f"{what}. Continue?"):
        raise typer.Exit(ERROR)


@contextmanager
def opened(stack: str, config_file: Path | None, *, as_json: bool = False) -> "Iterator[Cluster]":
    """The cluster of a stack. An error within the context is shown, and ends the command with its exit status.

    With ``as_json``, the error is also printed as the command's JSON document.
    """
    from recovery.cluster import Cluster

    with ended(as_json=as_json):
        yield Cluster(_settings(stack, config_file))


@contextmanager
def ended(*, as_json: bool = False) -> Iterator[None]:
    """Show an error within the context, and end the command with its exit status; with ``as_json``, also as JSON."""
    try:
        yield
    except RequorumError as error:
        if as_json:
            print_json(error_json(error))
        fail(error)


def fail(error: RequorumError) -> NoReturn:
    """Show an error on standard error, and end the command with its exit status. Raises: typer.Exit."""
    err.print(str(error), style="red", markup=False)
    raise typer.Exit(USAGE if isinstance(error, SettingError) else ERROR) from None


def say(line: str) -> None:
    """Print a line of progress to standard error."""
    err.print(line, style="dim", markup=False)


def print_json(document: dict[str, Any]) -> None:
    """Print a document of the contract (docs/json.md)."""
    print(json.dumps(document, indent=2))


def _settings(stack: str, config_file: Path | None) -> "Settings":
    from recovery.settings import load

    if config_file is None and not stack:
        raise SettingError(
            "(stack)",
            "no stack is named",
            remedy='give --stack NAME or set PULUMI_STACK. In the lab: eval "$(make -s env)"',
            code="bad-argument",
        )
    folder = Path(os.environ.get("REQUORUM_PROJECT", "."))
    return load(config_file or folder / "stacks" / f"Pulumi.{stack}.yaml")
