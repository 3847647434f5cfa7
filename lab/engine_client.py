"""The Docker engine that runs the nodes, through the ``docker`` package."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import docker
from docker import DockerClient
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from lab.errors import LabError
from lab.instance import Instance

BUSY = ("unable to freeze", "did not receive an exit event", "is already in progress")
"""What an engine says that gave up after seconds, as on a busy machine: runc's freezer with cgroup v1, moby's kill and removal."""
BUSY_SECONDS = 120.0
_PAUSE_SECONDS = 0.5


@contextmanager
def connect(instance: Instance, doing: str, timeout: int = 300) -> Iterator[DockerClient]:
    """A client of the engine; what the engine refuses, or does not answer in time, becomes a LabError about ``doing``."""
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
    except (DockerException, RequestException) as error:
        raise LabError(doing, f"the engine said: {error}", "`python -m lab status` shows what is there") from error
    finally:
        client.close()


def patiently(act: Callable[[], object]) -> None:
    """Do what can be done twice, and again as long as the engine gives it up because the machine is busy.

    Raises APIError: any other at once, that one after `BUSY_SECONDS`.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            act()
        except APIError as error:
            if not any(word in str(error) for word in BUSY) or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(_PAUSE_SECONDS)
