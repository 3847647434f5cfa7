"""The Docker engine that runs the nodes, through the ``docker`` package."""

from collections.abc import Iterator
from contextlib import contextmanager

import docker
from docker import DockerClient
from docker.errors import DockerException

from lab.errors import LabError
from lab.instance import Instance


@contextmanager
def connect(instance: Instance, doing: str, timeout: int = 60) -> Iterator[DockerClient]:
    """A client of the engine; what the engine refuses becomes a LabError about ``doing``."""
    try:
        client = docker.DockerClient(base_url=instance.docker_host, timeout=timeout)
    except DockerException as error:
        raise LabError(
            doing,
            f"the engine at {instance.docker_host} does not answer ({error})",
            "`python -m lab up` starts it",
        ) from error
    try:
        yield client
    except DockerException as error:
        raise LabError(doing, f"the engine said: {error}", "`python -m lab status` shows what is there") from error
    finally:
        client.close()
