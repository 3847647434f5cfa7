"""A command of the operator's own, and upgrades of the engine, on every node, one after the other."""

from typing import Annotated

import typer

from recovery.cli.ci import stack_of
from recovery.cli.console import FileOption, StackOption, YesOption, app, examples, opened, say, show, stack_file
from recovery.cli.walking import WALKED, AnewOption, BatchOption, DryRunOption, WithoutQuorumOption, go
from recovery.errors import OptionError
from recovery.operations import updating, walks
from recovery.operations import upgrade as upgrading


@app.command(
    "run",
    epilog=examples(
        "requorum run --rolling apt-get -y upgrade", "requorum run --rolling --batch 2 sh -c 'df / && sync'"
    ),
    context_settings={"allow_interspersed_args": False},
)
def run(
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND...", help="The command and its arguments, without a shell.")
    ],
    one_by_one: Annotated[
        bool, typer.Option("--rolling", help="Take the nodes one after the other. It must be given.")
    ] = False,
    batch: BatchOption = 1,
    without_quorum: WithoutQuorumOption = False,
    anew: AnewOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Run a command of yours on every node, one after the other. It runs as root, and the first that fails stops the walk.

    Requorum drains each node before, and gives it its availability back afterwards (docs/upgrade.md).
    """
    with opened(stack, config_file, interrupted=WALKED) as cluster:
        if not one_by_one:
            raise OptionError(
                "--rolling",
                "it is not given, and Requorum runs a command only on one node after the other",
                remedy=f"requorum run --rolling {' '.join(command)}",
                code="bad-argument",
            )
        walk = walks.run_walk(command, batch, without_quorum=without_quorum)
        act = walks.run(cluster, command, walk, heard=lambda line: show([line]), say=say)
        go(cluster, walk, act, anew=anew, yes=yes, dry_run=dry_run)


@app.command("upgrade", epilog=examples("requorum upgrade --dry-run", "requorum upgrade --batch 2"))
def upgrade(
    batch: BatchOption = 1,
    without_quorum: WithoutQuorumOption = False,
    anew: AnewOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Bring the Docker engine of every node to requorum:engine.version, one after the other. Never to an older one.

    Requorum drains each node before, and gives it its availability back afterwards (docs/upgrade.md).
    """
    with opened(stack, config_file, interrupted=WALKED) as cluster:

        def update() -> int:
            file = stack_file(stack, config_file)
            return updating.update(cluster, stack or stack_of(file), file)[0]

        walk = upgrading.upgrade_walk(cluster, batch, without_quorum=without_quorum)
        act = upgrading.upgrade(cluster, walk, update, heard=lambda line: show([line]), say=say)
        go(cluster, walk, act, anew=anew, yes=yes, dry_run=dry_run)
