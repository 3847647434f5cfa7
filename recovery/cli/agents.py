"""Commands for the agents on the managers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Group
from rich.table import Table

from recovery.cli.console import FileOption, JsonOption, StackOption, app, err, examples, opened, out, print_json
from recovery.cli.progress import progress
from recovery.cli.screen import styled
from recovery.cli.show.contract import DEGRADED, FINE, VERSION
from recovery.errors import SettingError, TransportError
from recovery.operations import agents
from recovery.operations.agent_faults import codes, fault
from recovery.operations.agents import AgentStatus
from recovery.spans import span
from recovery.swarm.machines import Node

Found = list[tuple[Node, AgentStatus | TransportError]]
OFF = "set requorum:agent, then pulumi up"
NEVER_PRUNED = (
    "requorum:backup.retention is null, so Requorum never removes a copy. A copy after each change makes thousands. "
    "next: remove it for the default rules, and run requorum copies prune --yes from a timer"
)


@app.command("agents", epilog=examples("requorum agents", "requorum agents --json"))
def list_agents(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show the state of the agent on each manager.

    Exit status 0 if all agents run, have no fault, are not late, and have stored all their copies. Otherwise 3.
    """
    with opened(stack, config_file, as_json=as_json) as cluster:
        settings = cluster.settings
        if settings.agent is None:
            raise SettingError("agent", "is not set, so no manager has an agent", remedy=OFF, code="setting-missing")
        with progress("asking the agents", as_json=as_json):
            found = agents.look(cluster, settings.managers)
        known = {node.name: fault(standing, watched=settings.agent.on_change) for node, standing in found}
        faults = {name: one.text if one else "" for name, one in known.items()}
        warnings = [NEVER_PRUNED] if settings.agent.on_change and settings.backup.retention is None else []
        if as_json:
            print_json(_json(settings.cluster, found, faults) | {"warnings": warnings})
        else:
            out.print(_table(found, faults, datetime.now(UTC).timestamp()))
            for warning in warnings:
                err.print(warning, style="yellow")
    raise typer.Exit(DEGRADED if any(faults.values()) else FINE)


def _codes(standing: AgentStatus | TransportError) -> list[str]:
    """The codes of the errors that an agent reports, or of the error that kept Requorum from asking it."""
    if isinstance(standing, TransportError):
        return [standing.code]
    return [code for why in standing.state.faults.values() for code in codes(why)]


def _table(found: Found, faults: Mapping[str, str], now: float) -> Group:
    """A line for each agent, and below them what is wrong."""
    table = Table(box=None, pad_edge=False)
    table.add_column("manager", overflow="fold")
    for heading in ("last proven", "last in S3", "took", "waiting", "failed", "now"):
        table.add_column(heading, no_wrap=True)
    for node, standing in found:
        told = styled("fault", "red") if faults[node.name] else "fine"
        if isinstance(standing, TransportError):
            table.add_row(node.name, "", "", "", "", "", told)
            continue
        state = standing.state
        ages = (f"{span(int(now - at))} ago" if at else "never" for at in (state.proven, state.stored))
        table.add_row(node.name, *ages, f"{state.seconds:.1f} s", str(standing.waiting), str(state.failures), told)
    return Group(table, *(styled(f"{name}: {why}", "red") for name, why in faults.items() if why))


def _json(cluster: str, found: Found, faults: Mapping[str, str]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "cluster": cluster,
        "agents": [
            {"manager": node.name, "fault": faults[node.name], "faultCodes": _codes(standing)}
            | ({} if isinstance(standing, TransportError) else _told(standing))
            for node, standing in found
        ],
    }


def _told(standing: AgentStatus) -> dict[str, Any]:
    state = standing.state
    return {
        "lastCopy": _moment(state.taken),
        "lastProven": _moment(state.proven),
        "lastStored": _moment(state.stored),
        "copySeconds": state.seconds,
        "waiting": standing.waiting,
        "failures": state.failures,
    }


def _moment(at: float) -> str | None:
    return datetime.fromtimestamp(at, UTC).isoformat() if at else None
