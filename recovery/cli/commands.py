"""The commands, and the module that defines each of them.

A module is imported when one of its commands runs, because the libraries for SSH, S3 and Docker take most of a second to load.
"""

import gc
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Listed(NamedTuple):
    """A command in the list of commands."""

    module: str
    """Its module in `recovery.cli`."""
    summary: str
    """The first sentence of its help."""


COMMANDS = {
    "status": Listed("status", "Show the current state of the cluster."),
    "doctor": Listed("status", "List unhealthy nodes and the commands that may repair them, least disruptive first."),
    "plan": Listed("cluster", "Show what `pulumi up` would change in the swarm now, or why it would refuse."),
    "recover": Listed("cluster", "Carry out the plan without Pulumi, on machines that are up."),
    "rescue": Listed("rescue", "Bring back the swarm of one manager, without a stack file and without a copy in S3."),
    "reports": Listed("reports", "List the reports of all recoveries and other changes of the swarm, newest first."),
    "report": Listed(
        "reports", "Print one report: the losses, the steps and their times, and the result of the proof."
    ),
    "metrics": Listed("metrics", "Print the swarm's health and the age of its copies as Prometheus metrics."),
    "notify": Listed("reports", "Send a test message to the services of requorum:notify."),
    "backup": Listed("backup", "Copy every manager's swarm directory to S3 while the engines run, the leader last."),
    "backups": Listed("copies", "List the cluster's copies, newest first."),
    "verify": Listed("copies", "Read a copy completely from S3 and compare it with its manifest."),
    "s3": Listed("s3", "Test what the S3 servers support."),
    "drill": Listed(
        "copies",
        "Restore copies as in a disaster, each in a sandbox with its manager's address, and store the results in S3.",
    ),
    "keep": Listed("copies", "Protect a copy from pruning with a keep mark, or remove its keep mark."),
    "prune": Listed("prune", "Remove the copies that no rule of requorum:backup.retention keeps."),
    "escrow": Listed(
        "copies",
        "Store an unlock key, read from standard input, in escrow in S3, sealed to requorum:escrow.recipients.",
    ),
    "agents": Listed("agents", "Show the state of the agent on each manager."),
    "policy": Listed("s3", "Print the S3 policy that the nodes' credentials need."),
    "fence": Listed("nodes", "Switch a machine off, check that it is silent, and declare it lost for one hour."),
    "restart": Listed("nodes", "Restart a node's Docker engine, if the quorum survives the restart."),
    "reboot": Listed(
        "nodes", "Reboot a node's machine, if the quorum survives the reboot, and wait until the node is back."
    ),
    "promote": Listed("nodes", "Promote a worker as a stand-in for a lost manager."),
    "rebalance": Listed(
        "nodes",
        "Replace the tasks of replicated services, one service after the other, to spread them over the nodes again.",
    ),
    "data": Listed("data", "Take, list, verify, restore and prune copies of service data."),
}


class Commands(TyperGroup):
    """The commands of `COMMANDS`, which help, completion and suggestions list without their modules."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        listed = {name: TyperCommand(name, help=listed.summary) for name, listed in COMMANDS.items()}
        self.commands = {**listed, **self.commands}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command as it runs: importing its module adds it to the application."""
        name, listed, rest = super().resolve_command(ctx, args)
        if name is None:
            return name, listed, rest
        app: typer.Typer = import_module(f"recovery.cli.{COMMANDS[name].module}").app
        gc.freeze()  # what is loaded stays; from here on there may be garbage
        gc.enable()
        return name, typer.main.get_group(app).commands[name], rest
