"""Commands that repair one node or service. `requorum doctor` proposes them."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Annotated

import typer

from recovery.cli.console import (
    FileOption,
    NodeArgument,
    StackOption,
    YesOption,
    agree,
    app,
    examples,
    opened,
    out,
    say,
)
from recovery.cli.progress import progress
from recovery.cli.walking import WALKED, AnewOption, BatchOption, DryRunOption, WithoutQuorumOption, go, require_one
from recovery.operations import fence as fencing
from recovery.operations import promote as promote_operation
from recovery.operations import rebalance as rebalancing
from recovery.operations import restart as restart_operation
from recovery.operations import walks
from recovery.planning.fencing import check
from recovery.planning.rolling import WITHOUT_QUORUM
from recovery.survey.nodes import stable_survey

BOOTING = "the machine may be rebooting. next: requorum status, then the same command again"
BALANCED = "every task that was replaced runs. next: run the same command again"


def _consent(what: Callable[[], str], yes: bool, allowed: Callable[[], object]) -> None:
    """Ask for consent to ``what``, if it is ``allowed``. Raises: Refused before the question; typer.Exit."""
    if yes:
        return
    with progress("asking the nodes"):
        allowed()
    agree(what(), yes)


@app.command("fence", epilog=examples("requorum fence manager-b", "requorum fence manager-b --lost"))
def fence(
    node: NodeArgument,
    lost: Annotated[
        bool, typer.Option("--lost", help="Confirm that the machine is off and stays off. Do not switch it off.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Also fence a machine that answers, if the quorum survives, or a stopped machine that may hold the swarm.",
        ),
    ] = False,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Switch a machine off, check that it is silent, and declare it lost for one hour."""
    with opened(
        stack,
        config_file,
        interrupted="the machine may be off, and nothing is declared yet unless requorum status says so. next: requorum status, then the same command again",
    ) as cluster:
        machine = cluster.settings.named(node)

        def allowed() -> None:
            check(cluster.settings, stable_survey(cluster), machine, lost=lost, force=force)

        _consent(lambda: fencing.intent(cluster.settings, machine, lost=lost), yes, allowed)
        with progress(f"fencing {node}"), cluster.hold(f"fencing {node}", say=say):
            word = fencing.fence(cluster, machine, lost=lost, force=force, say=say)
        out.print(f"{node} is {word.text(datetime.now(UTC))}. next: requorum plan")


@app.command("restart", epilog=examples("requorum restart manager-b", "requorum restart worker-1 --yes"))
def restart(
    node: NodeArgument, yes: YesOption = False, stack: StackOption = "", config_file: FileOption = None
) -> None:
    """Restart a node's Docker engine, if the quorum survives the restart."""
    with opened(
        stack,
        config_file,
        interrupted="the engine may be restarting. next: requorum status, then the same command again",
    ) as cluster:
        machine = cluster.settings.named(node)
        _consent(
            lambda: f"restart the Docker engine of {node}",
            yes,
            lambda: restart_operation.may_halt(cluster, machine, restart_operation.RESTARTING),
        )
        with progress(f"restarting {node}"), cluster.hold(f"restarting {node}", say=say):
            now = restart_operation.restart(cluster, machine, say=say)
        out.print(f"{node}: {now.reach}, {now.state}")


@app.command("reboot", epilog=examples("requorum reboot manager-b", "requorum reboot --all --batch 2"))
def reboot(
    node: Annotated[str, typer.Argument(help="The node's name in the stack file.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Reboot every machine, one after the other.")] = False,
    batch: BatchOption = 1,
    without_quorum: WithoutQuorumOption = False,
    anew: AnewOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Reboot a node's machine, if the quorum survives the reboot, and wait until the node is back.

    With --all, Requorum drains each node before, and gives it its availability back afterwards (docs/upgrade.md).
    """
    require_one(node, every, {"--batch": batch != 1, WITHOUT_QUORUM: without_quorum, "--anew": anew})
    with opened(stack, config_file, interrupted=WALKED if every else BOOTING) as cluster:
        if every:
            walk = walks.reboot_walk(batch, without_quorum=without_quorum)
            go(cluster, walk, walks.reboot(cluster, say=say), anew=anew, yes=yes, dry_run=dry_run)
            return
        machine = cluster.settings.named(node)

        def allowed() -> None:
            restart_operation.may_halt(cluster, machine, restart_operation.REBOOTING)

        if dry_run:
            with progress("asking the nodes"):
                allowed()
            out.print(f"reboot {node} ({machine.address})")
            return
        _consent(lambda: f"reboot {node} ({machine.address})", yes, allowed)
        with progress(f"rebooting {node}"), cluster.hold(f"rebooting {node}", say=say):
            now = restart_operation.reboot(cluster, machine, say=say)
        out.print(f"{node}: {now.reach}, {now.state}")


@app.command("promote", epilog=examples("requorum promote worker-1", "requorum promote worker-1 --yes"))
def promote(
    worker: NodeArgument, yes: YesOption = False, stack: StackOption = "", config_file: FileOption = None
) -> None:
    """Promote a worker as a stand-in for a lost manager. The `pulumi up` that brings the manager back demotes the stand-in."""
    with opened(
        stack,
        config_file,
        interrupted="the worker may be a manager already. next: requorum status, then the same command again",
    ) as cluster:
        machine = cluster.settings.named(worker)
        _consent(
            lambda: f"make {worker} a manager until every manager of the settings is back",
            yes,
            lambda: promote_operation.check(cluster, machine),
        )
        with progress(f"promoting {worker}"), cluster.hold(f"promoting {worker}", say=say):
            promote_operation.promote(cluster, machine, say=say)
        out.print(f"{worker} is a manager and votes")


@app.command("rebalance", epilog=examples("requorum rebalance", "requorum rebalance web api --yes"))
def rebalance(
    services: Annotated[
        list[str] | None, typer.Argument(help="The names of services. Default: every replicated service.")
    ] = None,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Replace the tasks of replicated services, one service after the other, to spread them over the nodes again."""
    with (
        opened(stack, config_file, interrupted=BALANCED) as cluster,
        ExitStack() as counting,
    ):

        def consent(names: Sequence[str]) -> None:
            agree(f"replace every task of {', '.join(names)}", yes)
            counting.enter_context(progress("replacing the tasks"))

        done = rebalancing.rebalance(
            cluster,
            services or (),
            agree=consent,
            say=say,
        )
        counting.close()
        out.print(f"rebalanced: {', '.join(done)}" if done else "the swarm has no replicated service")
