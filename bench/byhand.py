"""Total loss mended by hand, as a practised operator with everything at hand would: the documented way, and the floor.

Both work on hosts that are up and empty, with the copies lying ready on this machine: no survey, no
S3, no checksum, no proof. The floor is the fastest way known; nothing can be expected below it.
"""

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from lab.instance import Instance

DOCUMENTED = """set -e
systemctl stop docker.socket docker.service
rm -rf /var/lib/docker/swarm
zstd -q -dc | tar --sparse -C /var/lib/docker -xf -
systemctl reset-failed docker.service
systemctl start docker.service
docker swarm init --force-new-cluster --advertise-addr {address} >/dev/null
docker node ls >/dev/null
"""
"""Docker's administration guide, "Recover from disaster": stop, restore, start, force."""
LIVE = """set -e
zstd -q -dc | tar --sparse -C /var/lib/docker -xf -
docker swarm init --force-new-cluster --advertise-addr {address} >/dev/null
docker node ls >/dev/null
"""
REJOIN = """set -e
zstd -q -dc | tar --sparse -C /var/lib/docker -xf - swarm/certificates
docker swarm join --token {token} --advertise-addr {address} {seed}:2377 >/dev/null
"""


def seed(lab: Instance, node: str, address: str, archive: Path, way: str) -> float:
    """Seconds from hosts up to a quorum that lists its nodes; ``way`` is `DOCUMENTED` or `LIVE`."""
    begun = time.monotonic()
    on(lab, node, way.format(address=address), archive)
    return time.monotonic() - begun


def rejoin(
    lab: Instance, others: Mapping[str, str], seed_node: str, seed_address: str, archives: Mapping[str, Path]
) -> None:
    """The other managers join under their own identities; returns once all are reachable."""
    token = on(lab, seed_node, "docker swarm join-token -q manager").strip()
    for name, address in others.items():
        on(lab, name, REJOIN.format(token=token, address=address, seed=seed_address), archives[name])
    await_reachable(lab, seed_node, len(others) + 1)


def await_reachable(lab: Instance, node: str, managers: int, seconds: float = 120) -> None:
    """Wait until ``managers`` managers are the leader or reachable, as the node lists them."""
    end = time.monotonic() + seconds
    listing = "docker node ls --format '{{.ManagerStatus}}' 2>/dev/null || true"
    while sum(line in ("Leader", "Reachable") for line in on(lab, node, listing, check=False).splitlines()) < managers:
        if time.monotonic() > end:
            raise TimeoutError(f"{managers} managers are not reachable within {seconds:.0f} s")
        time.sleep(0.05)


def on(lab: Instance, node: str, script: str, archive: Path | None = None, *, check: bool = True) -> str:
    """What a shell script on a node prints."""
    with archive.open("rb") if archive else Path(os.devnull).open("rb") as stdin:
        command = ["docker", "exec", "-i", node, "bash", "-o", "pipefail", "-c", script]
        environment = {**os.environ, "DOCKER_HOST": lab.docker_host}
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False, env=environment)
    if check and done.returncode != 0:
        raise RuntimeError(f"on {node}: {done.stderr.strip()}")
    return done.stdout
