"""The walks over all nodes that reboot each machine, or run a command on each node."""

import shlex
from collections.abc import Sequence
from hashlib import sha256

from recovery.cluster import Cluster
from recovery.errors import CommandFailed
from recovery.node.ssh import Shell
from recovery.operations import restart
from recovery.operations.rolling import Act
from recovery.planning.rolling import Walk
from recovery.progress import Say
from recovery.swarm.machines import Node
from recovery.swarm.model import Survey

COMMAND_SECONDS = 3600.0
"""The limit for a command on one node. An upgrade downloads packages."""
BACK_SECONDS = 180.0
"""For a node to be healthy after a command, which may have restarted the engine without waiting for it."""
DIGITS = 8
SHOWN = 65536
RUN = (
    'unit=$1 out=/run/$1.out; shift; while systemctl is-active --quiet "$unit"; do sleep 1; done; rm -f "$out"; '
    'systemd-run --quiet --collect --wait --unit="$unit" --uid=root -p StandardOutput="file:$out" -p StandardError=inherit '
    f'-- "$@"; status=$?; tail -c {SHOWN} "$out" 2>/dev/null; rm -f "$out"; exit $status'
)
"""Runs a command as a unit of systemd, which goes on if the connection is lost. Prints the end of its output, and has its exit
status. Waits first for the same command of a run that was interrupted."""


def reboot_walk(batch: int, *, without_quorum: bool) -> Walk:
    """Reboot every machine."""
    return Walk("reboot", "rebooting every node", "reboot", "requorum reboot --all", batch, without_quorum)


def reboot(cluster: Cluster, *, say: Say) -> Act:
    """Reboots a machine, unless it has booted since the walk began with it."""

    def take(node: Node, seen: Survey) -> None:
        restart.reboot(cluster, node, before=seen, say=say)

    return Act(take, is_taken=lambda _, booted: booted)


def run_walk(argv: Sequence[str], batch: int, *, without_quorum: bool) -> Walk:
    """Run a command on every node."""
    text = shlex.join(argv)
    name = f"run-{sha256(text.encode()).hexdigest()[:DIGITS]}"
    return Walk(
        name, "running a command on every node", f"run {text}", f"requorum run --rolling {text}", batch, without_quorum
    )


def run(cluster: Cluster, argv: Sequence[str], walk: Walk, *, heard: Say, say: Say) -> Act:
    """Runs the operator's command on a node. ``heard`` gets the lines that it prints."""

    def take(node: Node, seen: Survey) -> None:
        run_on(cluster, node, argv, walk, heard, say)
        restart.await_back(cluster, node, seen, walk.doing, BACK_SECONDS, say=say)

    return Act(take, is_taken=lambda *_: False)


def run_on(cluster: Cluster, node: Node, argv: Sequence[str], walk: Walk, heard: Say, say: Say) -> None:
    """Run a command on a node. Raises: CommandFailed if it exits non-zero; TransportError."""
    say(f"{node.name}: {walk.effect}")
    with cluster.shell(node) as shell:
        status, lines = _finished(shell, f"requorum-{walk.name}", argv)
    for line in lines:
        heard(f"{node.name}: {line}")
    if status:
        raise CommandFailed(
            walk.doing,
            f"the command ended with exit status {status}. The node stays drained",
            remedy=f"repair what its output names. The walk then goes on: {walk.command}",
            node=node.name,
            code="command-failed",
        )


def _finished(shell: Shell, unit: str, argv: Sequence[str]) -> tuple[int, list[str]]:
    """The exit status of a command, and the lines that it printed. systemd reads ``$$`` as a dollar sign."""
    given = [argument.replace("$", "$$") for argument in argv]
    done = shell.run(["sh", "-c", RUN, "run", unit, *given], seconds=COMMAND_SECONDS, check=False)
    return done.status, (done.stdout.decode(errors="replace") + done.stderr).splitlines()
