"""Docker's client on a machine, with the machine's own engine, whatever its context or DOCKER_HOST is."""

import shlex

ENGINE_SOCKET = "/var/run/docker.sock"
"""The default socket of a machine's engine (dockerd --host)."""
DOCKER = ("docker", "-H", f"unix://{ENGINE_SOCKET}")
IN_SHELL = shlex.join(DOCKER)
"""The same in a script."""
