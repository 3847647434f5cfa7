"""Deploys a compose file with the engine's own `docker stack deploy`, on a manager that is alive now."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recovery.cluster import Cluster
from recovery.node.engine import Engine
from recovery.operations.services import manager, settle
from recovery.operations.workload import content, stored
from recovery.planning import compose
from recovery.progress import Say
from recovery.settings import Settings
from recovery.settings.workload import Workload
from recovery.swarm.client import IN_SHELL

FILE = ".requorum-compose.yaml"
"""What the compose file is called on the manager, beside the files that it names."""
DEPLOY = f"""set -e
folder=$(mktemp -d -p /run)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
tar -xf -
{IN_SHELL} stack deploy --prune --with-registry-auth -c {FILE} "$1"
"""
SECONDS = 300.0
CORRECT = "correct the service in the compose file, then run: pulumi up. The service is SERVICE"


@dataclass(frozen=True)
class Project:
    """A compose file as it is here, with the files that it names."""

    text: str
    contents: Mapping[str, bytes]
    services: tuple[str, ...]
    digests: compose.Digests


def read(name: str, file: Path) -> Project:
    """The compose file of a stack. Raises: SettingError, before anything is changed."""
    key = f"workload.stacks.{name}"
    text = content(key, file).decode(errors="replace")
    document: Mapping[str, Any] = compose.parsed(key, text)
    contents = {one: content(key, file.parent / one) for one in compose.files(document, key)}
    return Project(text, contents, tuple(sorted(document["services"])), compose.digests(document, contents))


def check(settings: Settings) -> None:
    """Read every file that the workload names. Raises: SettingError, before anything is changed."""
    of = settings.workload or Workload()
    for kind, contents in (("secrets", of.secrets), ("configs", of.configs)):
        for name, one in contents.items():
            stored(f"workload.{kind}.{name}", one)
    for name, file in of.stacks.items():
        read(name, file)


def deploy(cluster: Cluster, cluster_id: str, name: str, project: Project, *, say: Say) -> Mapping[str, str]:
    """Deploy, and wait until its services are as defined; returns the version of each service.

    Raises: Refused, TransportError, EngineError; ProofFailed if an update is paused, is rolled back or gets no further.
    """
    with cluster.shell(manager(cluster, f"deploying stack {name}", cluster_id)) as shell:
        say(f"deploying stack {name}")
        engine = Engine(shell)
        known = {service.name: service.begun for service in engine.services()}
        shell.run(["sh", "-c", DEPLOY, "sh", name], stdin=_archive(project), seconds=SECONDS)
        services = {service.name: service.service_id for service in engine.services()}
        wanted = [f"{name}_{service}" for service in project.services]
        ids = {service: services[service] for service in wanted if service in services}
        settle(engine, ids, known=known, remedy=CORRECT, say=say)
        return engine.stack(name)


def deployed(cluster: Cluster, cluster_id: str, name: str) -> Mapping[str, str]:
    """The services of a stack as the swarm has them: a digest of each. Raises: Refused, TransportError, EngineError."""
    with cluster.shell(manager(cluster, f"looking at stack {name}", cluster_id)) as shell:
        return Engine(shell).stack(name)


def remove(cluster: Cluster, cluster_id: str, name: str) -> None:
    """Remove a stack. Raises: Refused, TransportError."""
    with cluster.shell(manager(cluster, f"removing stack {name}", cluster_id)) as shell:
        shell.run(["sh", "-c", f'{IN_SHELL} stack rm "$1"', "sh", name], seconds=SECONDS)


def _archive(project: Project) -> bytes:
    """What goes to the manager on standard input, because it may hold secrets."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in {FILE: project.text.encode(), **project.contents}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
