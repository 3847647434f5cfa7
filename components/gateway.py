"""The gateway of `components.reach`: one process that holds the connection to a manager for all connections of pulumi-docker.

It ends when nobody has used it for a while. A run of Pulumi that comes later finds its manager anew.
"""

import os
import socket
import sys
from pathlib import Path

from components import reach
from components.progress import told
from components.settings import running
from recovery.cluster import Cluster
from recovery.errors import RequorumError
from recovery.node.offer import Offer
from recovery.operations.services import manager

IDLE_SECONDS = 20.0
STANDARD = (1, 2)
"""Standard output and standard error. Whoever started the gateway reads until they are closed."""


def main() -> None:
    """Find a manager, say that it is there or why none is, and serve."""
    name, cluster_id, path = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    try:
        cluster = Cluster(running(name))
        with cluster.shell(manager(cluster, "reaching the swarm for its workload", cluster_id)) as shell:
            engine = shell.engine_socket()
            path.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
                listener.listen()
                told(reach.READY)
                _let_go()
                Offer(listener, path, engine, idle=IDLE_SECONDS).run()
    except RequorumError as error:
        told(str(error))
        raise SystemExit(reach.FAILED) from None


def _let_go() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in STANDARD:
        os.dup2(nowhere, stream)


if __name__ == "__main__":
    main()
