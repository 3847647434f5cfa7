"""Commands for the agents on the managers."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from recovery.agent.run import AGAIN
from recovery.cli.console import FileOption, JsonOption, StackOption, app, err, opened, out, print_json
from recovery.cli.show.contract import DEGRADED, FINE, VERSION, span
from recovery.cluster import Cluster
from recovery.errors import SettingError, TransportError
from recovery.operations import agents
from recovery.operations.agents import AgentStatus
from recovery.swarm.machines import Node

Found = list[tuple[Node, AgentStatus | TransportError]]
OFF = "set requorum:agent, then pulumi up"
LOG = "next: journalctl -u requorum-copy -n 20, on the node"
NEXT, CODE = "  next: ", "  code: "
"""How the last lines of an error begin (`recovery.errors`)."""
LATE_SECONDS = 900
"""After this time a due round is late. A round copies within minutes, and a failed one is repeated every ten seconds."""
NEVER_PRUNED = (
    "requorum:backup.retention is null, so Requorum never removes a copy. A copy after each change makes thousands. "
    "next: remove it for the default rules, and run requorum prune --yes from a timer"
)


@app.command(name="agents")
def list_agents(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show the state of the agent on each manager.

    Exit status 0 if all agents run, have no fault, are not late, and have stored all their copies. Otherwise 3.
    """
    with opened(stack, config_file, as_json=as_json) as cluster:
        settings = cluster.settings
        if settings.agent is None:
            raise SettingError("agent", "is not set, so no manager has an agent", remedy=OFF, code="setting-missing")
        found = _look(cluster)
        faults = {node.name: _fault(standing, watched=settings.agent.on_change) for node, standing in found}
        warnings = [NEVER_PRUNED] if settings.agent.on_change and settings.backup.retention is None else []
        if as_json:
            print_json(_json(settings.cluster, found, faults) | {"warnings": warnings})
        else:
            out.print(_table(found, faults, datetime.now(UTC).timestamp()))
            for warning in warnings:
                err.print(warning, style="yellow")
    raise typer.Exit(DEGRADED if any(faults.values()) else FINE)


def _look(cluster: Cluster) -> Found:
    def one(node: Node) -> tuple[Node, AgentStatus | TransportError]:
        try:
            return node, agents.inspect(cluster, node)
        except TransportError as error:
            return node, error

    managers = cluster.settings.managers
    with ThreadPoolExecutor(max_workers=len(managers)) as pool:
        return list(pool.map(one, managers))


def _fault(standing: AgentStatus | TransportError, *, watched: bool) -> str:
    """What is wrong with an agent, and what to do next; empty if nothing is wrong."""
    if isinstance(standing, TransportError):
        return f"{standing.why}. next: {standing.remedy}"
    state, now = standing.state, standing.now
    if not standing.digest:
        return "it is not installed. next: pulumi up"
    if not standing.timer or standing.watch != watched:
        return "its systemd units do not run as configured. next: pulumi up"
    if state.faults:
        return "; ".join(map(_with_remedy, state.faults.values()))
    if standing.result != "success" and standing.status != AGAIN:
        return f"its last round ended with result {standing.result} (exit status {standing.status}). {LOG}"
    if state.attempted < standing.due < now - LATE_SECONDS:
        return f"a round was due {span(int(now - standing.due))} ago, and no round has ended since. {LOG}"
    if standing.since and standing.since < now - LATE_SECONDS:
        return f"a copy has been waiting for S3 for {span(int(now - standing.since))}. {LOG}"
    return ""


def _with_remedy(why: str) -> str:
    """The first line of an error's text, and what to do next."""
    lines = why.splitlines()
    remedies = [line.strip() for line in lines if line.startswith(NEXT)]
    return f"{lines[0]}. {remedies[-1] if remedies else LOG}"


def _codes(standing: AgentStatus | TransportError) -> list[str]:
    """The codes of the errors that an agent reports, or of the error that kept Requorum from asking it."""
    if isinstance(standing, TransportError):
        return [standing.code]
    lines = (line for why in standing.state.faults.values() for line in why.splitlines())
    return [line.removeprefix(CODE) for line in lines if line.startswith(CODE)]


def _table(found: Found, faults: Mapping[str, str], now: float) -> Table:
    table = Table(box=None)
    for heading in ("manager", "last proven copy", "last in S3", "copy took", "waiting for S3", "failed", "now"):
        table.add_column(heading)
    for node, standing in found:
        told = f"[red]{escape(faults[node.name])}[/]" if faults[node.name] else "fine"
        if isinstance(standing, TransportError):
            table.add_row(node.name, "", "", "", "", "", told)
            continue
        state = standing.state
        ages = (f"{span(int(now - at))} ago" if at else "never" for at in (state.proven, state.stored))
        table.add_row(node.name, *ages, f"{state.seconds:.1f} s", str(standing.waiting), str(state.failures), told)
    return table


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
