"""Removes what recoveries left beside the swarm directory, when a rollback needs it no more.

A recovery keeps each swarm directory that it replaces, and `requorum rescue` its safety copy. They hold the keys of the swarm.
After the proof, a proven copy in S3 that is newer stands in for them. Sealed safety copies of their logs are in S3 too.
"""

from collections.abc import Sequence
from datetime import datetime

from recovery.cluster import Cluster
from recovery.copies.latest import since_proven
from recovery.errors import RequorumError
from recovery.node import data_root
from recovery.operations.trust import trusted
from recovery.parallel import side_by_side
from recovery.planning.checks import Check, Result
from recovery.progress import Say
from recovery.swarm.machines import Node

EACH = 'cd "$1" && for one in swarm.before-* swarm.saved-*; do [ -e "$one" ] || continue; '
LOOK = f'{EACH} stat -c %Z "$one"; done'
"""Prints when each was put there."""
REMOVE = f'{EACH} [ "$(stat -c %Z "$one")" -ge "$2" ] || rm -rf -- "$one"; done'
"""Removes those that are older than a time."""
LEFT = "swarm.before-* and swarm.saved-*"


def remove(cluster: Cluster, cluster_id: str, proof: Sequence[Check], *, say: Say) -> None:
    """Remove the former swarm directories of every node of the ``proof`` that are older than the newest proven copy.

    What cannot be removed is reported: the next proof tries again.
    """
    stand = {check.subject for check in proof if check.check == "membership" and check.result is Result.OK}
    nodes = [node for node in cluster.settings.nodes if node.name in stand]
    found = zip(nodes, side_by_side(lambda node: _oldest(cluster, node, say), nodes), strict=True)
    with_some = [(node, since) for node, since in found if since is not None]
    if not with_some:
        return
    try:
        proven = _proven(cluster, cluster_id)
    except RequorumError as error:
        say(f"Requorum keeps former swarm directories on {', '.join(node.name for node, _ in with_some)}: {error.why}")
        return
    for node, since in with_some:
        if proven is None or since >= int(proven.timestamp()):
            say(f"{node.name} keeps {LEFT}, until S3 has a proven copy that is newer")
        else:
            _remove(cluster, node, int(proven.timestamp()), say)


def _proven(cluster: Cluster, cluster_id: str) -> datetime | None:
    """When the newest proven copy of this swarm was taken; None if there is none. Raises: StoreError, SettingError."""
    copies = since_proven(trusted(cluster, cluster.catalog()))
    ours = [
        copy.dated
        for copy, read in copies
        if not isinstance(read, RequorumError) and read.cluster_id == cluster_id and read.restores_proven
    ]
    return max(ours, default=None)


def _oldest(cluster: Cluster, node: Node, say: Say) -> float | None:
    """When the oldest former swarm directory of a node was put there; None if it has none, or does not tell."""
    try:
        with cluster.shell(node) as shell:
            told = shell.run(["sh", "-c", LOOK, "look", data_root.of(shell)], check=False).stdout.split()
    except RequorumError as error:
        say(f"{node.name} does not tell whether it has former swarm directories: {error.why}")
        return None
    return min((float(one) for one in told if one.isdigit()), default=None)


def _remove(cluster: Cluster, node: Node, before: int, say: Say) -> None:
    """Remove them, once more if the first try failed: the connection is older than the proof."""

    def attempt() -> str:
        try:
            with cluster.shell(node) as shell:
                shell.run(["sh", "-c", REMOVE, "remove", data_root.of(shell), str(before)])
        except RequorumError as error:
            return error.why
        return ""

    if fault := attempt() and attempt():
        say(f"{node.name} keeps {LEFT}: {fault}")
    else:
        say(f"{node.name}: removed {LEFT}, for which a newer proven copy in S3 stands in")
