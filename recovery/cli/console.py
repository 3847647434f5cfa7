"""What every command shares: the application, its options, where it prints, and how it ends."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from recovery.cli.interrupt import NOTHING, STATUS, ending
from recovery.cli.screen import Screen
from recovery.cli.show.contract import ERROR, USAGE, error_json
from recovery.cli.tree import Commands
from recovery.errors import RequorumError, SettingError, shown
from recovery.plain import plain

if TYPE_CHECKING:
    from recovery.cluster import Cluster
    from recovery.settings import Settings

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Requorum backs up the managers of a Docker Swarm, and brings the same swarm back after all of them are lost. "
    "Something is down? Run requorum status, then what its last line names (next:).",
    epilog="--stack NAME and --config-file FILE may stand before or after the command. "
    "Each command's help has examples: requorum copies verify -h",
)
WIDE = 200
"""The width of output that does not go to a terminal, so that lines stay whole."""
UNBOUND = 1000
"""The width of tables with whole names. A terminal breaks their lines."""
out = Screen(width=None if sys.stdout.isatty() else WIDE)
err = Screen(stderr=True, width=None if sys.stderr.isatty() else WIDE)

StackOption = Annotated[str, typer.Option("--stack", "-s", envvar="PULUMI_STACK", help="The name of the stack.")]
FileOption = Annotated[Path | None, typer.Option(help="The stack file, instead of stacks/Pulumi.STACK.yaml.")]
NodeArgument = Annotated[str, typer.Argument(help="The node's name in the stack file.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask before the first change.")]
WideOption = Annotated[
    bool, typer.Option("--wide", callback=lambda wide: _widen(wide), help="Show all columns, and whole names.")
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write one HTML page to this file. - prints it.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON (docs/json.md).")]


def _widen(wide: bool) -> bool:
    """Let lines be longer than the terminal is wide."""
    if wide:
        out.width = UNBOUND
    return wide


def _show_version(asked: bool) -> None:
    if asked:
        from recovery.s3.keys import RELEASE

        print(f"requorum {RELEASE}")
        raise typer.Exit


@app.callback()
def _every_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that come before a command."""


def examples(*lines: str) -> str:
    """The end of a command's help: what one may type."""
    return "\n".join(("Examples:", *(f"  {line}" for line in lines)))


def agree(what: str, yes: bool) -> None:
    """Ask for consent before the first change. Raises: typer.Exit if the answer is no, or if nobody can answer."""
    if yes:
        return
    with answered(otherwise="give --yes, or run it in a terminal"):
        agreed = typer.confirm(plain(f"{what}. Continue?"))
        if not agreed:
            raise typer.Exit(ERROR)


@contextmanager
def answered(
    *, otherwise: str = "run the same command again in a terminal", stands: str = "nothing was changed"
) -> Iterator[None]:
    """Ask within this context. Until then, things are as ``stands`` says.

    Raises: typer.Exit if Ctrl-C or the end of the input comes in place of an answer; it is said what to do ``otherwise``.
    """
    then, ending.sentence = ending.sentence, f"{stands}. next: run the same command again"
    try:
        yield
    except typer.Abort:
        if ending.told:
            raise typer.Exit(STATUS) from None
        err.print(f"nobody answers, so {stands}. next: {otherwise}", style="red")
        raise typer.Exit(ERROR) from None
    ending.sentence = then


def require_compatible(**given: object) -> None:
    """Check that at most one of these options is given. Raises: BadParameter."""
    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if len(names) > 1:
        raise typer.BadParameter(f"give only one of {' and '.join(names)}")


@contextmanager
def opened(
    stack: str, config_file: Path | None, *, as_json: bool = False, interrupted: str = NOTHING
) -> "Iterator[Cluster]":
    """The cluster of a stack, within `ended`."""
    with ended(as_json=as_json, interrupted=interrupted):
        yield cluster_of(stack, config_file)


def cluster_of(stack: str, config_file: Path | None) -> "Cluster":
    """The cluster of a stack. Raises: SettingError."""
    from recovery.cluster import Cluster

    return Cluster(_settings(stack, config_file))


@contextmanager
def ended(*, as_json: bool = False, interrupted: str = NOTHING) -> Iterator[None]:
    """Show an error within the context, and end the command with its exit status; with ``as_json``, also as JSON.

    ``interrupted`` is what Ctrl-C says: where things stand then, and how to go on.
    """
    ending.sentence = interrupted
    try:
        yield
    except KeyboardInterrupt:
        ending.tell()
        raise typer.Exit(STATUS) from None
    except RequorumError as error:
        if as_json:
            print_json(error_json(error))
        fail(error)


def fail(error: RequorumError) -> NoReturn:
    """Show an error on standard error, and end the command with its exit status. Raises: typer.Exit."""
    err.print(shown(error), style="red", soft_wrap=True)
    raise typer.Exit(USAGE if isinstance(error, SettingError) else ERROR) from None


def show(lines: Iterable[str]) -> None:
    """Print lines to standard output. The terminal wraps them, so that a command in them can be copied."""
    for line in lines:
        out.print(line, soft_wrap=True)


def say(line: str) -> None:
    """Print a line of progress to standard error."""
    err.print(line, style="dim")


def print_json(document: dict[str, Any]) -> None:
    """Print a document of the contract (docs/json.md). No runner takes a part of it for a command (`recovery.plain`)."""
    print(json.dumps(document, indent=2).replace("##[", r"\u0023#["))


def give_page(file: Path, page: str) -> None:
    """Write a page to a file, or print it for the file `-`. Raises: LocalError."""
    from recovery.whole_file import save

    if str(file) == "-":
        print(page, end="")
        return
    save(file, page)
    say(f"the page is written: {file}")


def stack_file(stack: str, config_file: Path | None) -> Path:
    """The stack file that the operator names, of a stack also as ORGANIZATION/PROJECT/STACK. Raises: SettingError if none is named."""
    folder = Path(os.environ.get("REQUORUM_PROJECT", "."), "stacks")
    if config_file is None and not stack:
        from recovery.settings import name_one

        raise SettingError("(stack)", "no stack is named", remedy=name_one(folder), code="bad-argument")
    return config_file or folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"


def _settings(stack: str, config_file: Path | None) -> "Settings":
    from recovery.settings import load

    return load(stack_file(stack, config_file))
