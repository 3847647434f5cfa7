"""Tries the agents' credentials on a manager, before an agent is installed there."""

from recovery.cluster import Cluster
from recovery.errors import TransportError
from recovery.operations import agents, bundle
from recovery.operations.agent_faults import stated
from recovery.planning.readiness import AgentFault
from recovery.swarm.machines import Node

TRY = """set -eu
home=$(mktemp -d); trap 'rm -rf "$home"' EXIT
tar -xz --no-same-owner -C "$home"
PYTHONPATH="$home/lib" /usr/bin/python3 -B -m recovery.agent try "$home/etc"
"""
"""Runs the agent's program from a folder of its own, which it removes. The bundle comes on standard input."""
SECONDS = 120


def tried(cluster: Cluster, node: Node) -> AgentFault | None:
    """Why the agents' credentials do not work on a node; None if they do. Raises: SettingError."""
    files = agents.files(cluster.settings, node)
    try:
        with cluster.shell(node) as shell:
            done = shell.run(["sh", "-c", TRY], stdin=bundle.packed(files), seconds=SECONDS, check=False)
    except TransportError as error:
        return AgentFault(error.why, error.remedy, known=False)
    return stated(done.stderr.strip()) if done.status else None
