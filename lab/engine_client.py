"""Connects to the Docker engine that runs the nodes, with the ``docker`` package."""

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
"""Parts of the errors of a busy engine that gave up: runc's freezer with cgroup v1, moby's kill and removal."""
BUSY_SECONDS = 120.0
_PAUSE_SECONDS = 0.5


@contextmanager
def connect(instance: Instance, doing: str, timeout: int = 300) -> Iterator[DockerClient]:
    """Connect to the engine. If it refuses a request or does not answer in time, raise a LabError about ``doing``."""
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
    """Call ``act``, which must be repeatable. While the engine gives up because the machine is busy, call it again.

    Raises: APIError, that of a busy machine only after `BUSY_SECONDS`.
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
