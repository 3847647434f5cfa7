"""Tells a machine that has no Docker engine from one whose engine is down."""

from dataclasses import replace

from recovery.node.shell import DATA_ROOT
from recovery.node.ssh import Shell
from recovery.swarm.model import LocalState, NodeReport, Reach

ENGINES = ("docker", "dockerd", "podman")
PROCESSES = ("dockerd", "containerd")
NOTHING = f"""for engine in {" ".join(ENGINES)}; do ! command -v "$engine" >/dev/null 2>&1 || exit 1; done
for file in "$2"/[0-9]*/comm; do read -r name 2>/dev/null <"$file"; case $name in {"|".join(PROCESSES)}) exit 1; esac; done
for place in "$1/swarm" {DATA_ROOT}/swarm /snap/docker; do [ ! -e "$place" ] || exit 1; done
echo bare
"""
"""Prints `bare` if the machine has no engine, none runs, and there is no swarm directory. It needs only a shell.

Arguments: the data root, and where the processes are.
"""


def judged(shell: Shell, seen: NodeReport, root: str) -> NodeReport:
    """The report, as of a machine in no swarm if it has no engine and nothing of one. Raises: TransportError."""
    lacks = seen.on_node.lacks if seen.on_node else ()
    if seen.reach is not Reach.NO_ENGINE or "docker" not in lacks or seen.raft or seen.node_id:
        return seen
    told = shell.run(["sh", "-c", NOTHING, "bare", root, "/proc"], seconds=5, check=False)
    if told.status or told.stdout.decode(errors="replace").strip() != "bare":
        return seen
    return replace(seen, reach=Reach.ANSWERS, state=LocalState.INACTIVE, detail="it has no Docker engine")
