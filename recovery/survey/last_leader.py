"""When each node last heard of a leader, from the log of its Docker engine."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from recovery.cluster import Cluster
from recovery.errors import TransportError
from recovery.parallel import side_by_side
from recovery.swarm.machines import Node

SECONDS = 10.0
"""The limit for the search in one node's log."""
SETTLED = 60.0
"""An engine that lost its session sooner after its start may never have had one."""
LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
ASK = (
    "timeout 8 journalctl --quiet --no-pager --reverse --lines=1 --output=short-unix --unit=docker.service "
    "--grep='agent: session failed.*backoff=100ms' 2>/dev/null; "
    'started=$(systemctl show docker.service --property=ActiveEnterTimestamp --value) && echo "started $(date --date="$started" +%s)"'
)
"""The last time at which the engine lost a session that worked, and its start. Every node of a swarm has a session with the
leader. The engine waits 100 ms after the first failure, and longer after each further one (swarmkit, agent.go)."""


def sessions_lost(cluster: Cluster, nodes: Sequence[Node]) -> dict[str, datetime]:
    """When each of these nodes lost its last session with a leader, by its own clock. Nodes whose log does not tell are left out."""

    def one(node: Node) -> datetime | None:
        try:
            with cluster.shell(node) as shell:
                return read(shell.run(["sh", "-c", ASK], seconds=SECONDS, check=False).stdout.decode(errors="replace"))
        except TransportError:
            return None

    found: Mapping[str, datetime | None] = dict(
        zip((node.name for node in nodes), side_by_side(one, nodes), strict=True)
    )
    return {name: moment for name, moment in found.items() if moment}


def read(answer: str) -> datetime | None:
    """The time in a node's answer; None if the log does not tell it, or if the engine was started shortly before."""
    lost = started = 0.0
    for line in answer.splitlines():
        first, _, rest = line.partition(" ")
        try:
            if first == "started":
                started = float(rest)
            else:
                lost = float(first)
        except ValueError:
            continue
    if not (lost - started >= SETTLED and 0 < lost < LATEST):
        return None
    return datetime.fromtimestamp(lost, UTC)
