"""Connects pulumi-docker to a manager that has a leader at this moment.

The provider of the workload has one address for the life of the cluster, and starts this program for each connection
(`ssh_opts`). So no change of a manager changes the provider, and a refresh does not depend on the manager of the last run.
"""

import sys

from components.progress import say
from components.settings import running
from recovery.cluster import Cluster
from recovery.errors import RequorumError
from recovery.node.offer import offer
from recovery.operations.services import manager

HOST = "ssh://requorum-swarm"
"""What the provider takes for its engine's address."""
PROGRAM = "requorum-reach"
FAILED = 1


def ssh_options(cluster: str, cluster_id: str) -> list[str]:
    """The options of the provider's `ssh`. It speaks with a process of its own, whose host key nobody can pin.

    They are the same on each machine: the program of the project that Pulumi runs, or the one on PATH.
    """
    command = f'"$(command -v ./bin/{PROGRAM} || echo {PROGRAM})" {cluster} {cluster_id}'
    options = {
        "ProxyCommand": command,
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
    }
    return ["-F", "none", *(part for key, value in options.items() for part in ("-o", f"{key}={value}"))]


def main() -> None:
    """Be the ProxyCommand."""
    name, cluster_id = sys.argv[1:]
    try:
        cluster = Cluster(running(name))
        with cluster.shell(manager(cluster, "reaching the swarm for its workload", cluster_id)) as shell:
            offer(shell.engine_socket())
    except RequorumError as error:
        say(str(error))
        raise SystemExit(FAILED) from None


if __name__ == "__main__":
    main()
