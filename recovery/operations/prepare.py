"""Prepares a machine: waits until it lets the operator in, and runs the script of `recovery.planning.preparation`."""

from recovery.cluster import Cluster
from recovery.errors import Limited, Silent, SshRefused, TransportError
from recovery.swarm.machines import Node
from recovery.waiting import until

BOOT_SECONDS = 180.0
"""How long a machine that has just been made may take until its sshd answers."""
PAUSE = 1.0
SECONDS = 600.0
FIRST_BOOT = "! command -v cloud-init >/dev/null || cloud-init status --wait"
"""Waits until a new machine has done what its user data say. It installs packages after sshd runs."""


def prepare(cluster: Cluster, node: Node, script: str) -> None:
    """Run the script on the machine, as root. Raises: TransportError."""

    def run() -> TransportError | None:
        try:
            with cluster.shell(node, pauses=()) as shell:
                if cluster.settings.hosts.driver == "program":
                    shell.run(["sh", "-c", FIRST_BOOT], seconds=SECONDS, check=False)
                shell.run(["sh", "-s"], stdin=script.encode(), seconds=SECONDS)
        except (Silent, SshRefused, Limited) as error:
            return error
        return None

    error = until(run, BOOT_SECONDS, holds=lambda error: error is None, pause=PAUSE)
    if error:
        raise error
