"""Repairs losses by hand, as an experienced operator would, in two ways: the documented way, and the floor.

Both ways use no survey, no S3, no checksums and no proof. The copies are on this machine. The floor is the fastest
known way: it restores the seed while the engine runs, and keeps the identities. The documented way is Docker's
administration guide: stop, restore, start, force. New managers join as new nodes, and the operator removes the old
entries.
"""

import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
LIVE = """set -e
zstd -q -dc | tar --sparse -C /var/lib/docker -xf -
docker swarm init --force-new-cluster --advertise-addr {address} >/dev/null
docker node ls >/dev/null
"""
FORCE = "docker swarm init --force-new-cluster --advertise-addr {address} >/dev/null && docker node ls >/dev/null"
LEAVE = "docker swarm leave --force >/dev/null"
IDENTITY = "zstd -q -dc | tar --sparse -C /var/lib/docker -xf - swarm/certificates"
DEMOTE = """docker node demote {name} >/dev/null
until [ "$(docker node inspect --format '{{{{.ManagerStatus}}}}' {name})" = "<nil>" ]; do sleep 0.05; done
"""
"""Returns when the node has lost its vote. Only then can it get the role again."""
JOIN = "docker swarm join --token {token} --advertise-addr {address} {seed}:2377 >/dev/null"

COPY = """set -e
begun=$EPOCHREALTIME
tar --format=gnu --sparse --exclude='*.tmp' -C /var/lib/docker -cf - swarm | zstd -q -3 -c > {copy}
curl -sSf -o /dev/null -T {copy} '{url}'
echo $begun $EPOCHREALTIME
"""
"""Only packs a copy on the manager and uploads it. Does not check, read back, seal or test it."""
PROOF = """set -e
begun=$EPOCHREALTIME
unshare --net --mount bash -e -o pipefail -c '
mount -t tmpfs none /mnt
ip link set lo up
ip link add bench0 type bridge
ip address add {address}/32 dev bench0
ip link set bench0 up
dockerd --data-root=/mnt/data --exec-root=/mnt/exec --pidfile=/mnt/pid --host=unix:///mnt/socket --storage-driver=vfs \\
  --bridge=none --iptables=false --ip6tables=false --containerd-namespace=bench --containerd-plugins-namespace=bench-plugins >/mnt/log 2>&1 &
trap "kill -KILL $!" EXIT
zstd -q -dc {copy} | tar --sparse -C /mnt -xf -
ask() {{ curl -sf --unix-socket /mnt/socket "http://engine/$@"; }}
until ask _ping >/dev/null; do sleep 0.02; done
rm -rf /mnt/data/swarm
mv /mnt/swarm /mnt/data/
ask swarm/init -o /dev/null -H "Content-Type: application/json" -d "{{\\"ForceNewCluster\\": true, \\"ListenAddr\\": \\"{address}:2377\\", \\"AdvertiseAddr\\": \\"{address}\\"}}"
ask nodes >/mnt/nodes
'
echo $begun $EPOCHREALTIME
"""
"""Forces a swarm from a copy in a separate engine, and lists it once. Compares and limits nothing."""


class Operator:
    """An operator on one lab, with a copy of every manager."""

    def __init__(self, lab: Instance, managers: Mapping[str, str], archives: Mapping[str, Path]) -> None:
        self._lab = lab
        self._managers = managers
        self._archives = archives

    def seed(self, name: str, way: str) -> float:
        """The seconds from running hosts until a quorum lists its nodes. ``way`` is `DOCUMENTED` or `LIVE`."""
        begun = time.monotonic()
        on(self._lab, name, way.format(address=self._managers[name]), self._archives[name])
        return time.monotonic() - begun

    def mend(self, lost: Sequence[str], *, keep_identity: bool) -> None:
        """Bring back the ``lost`` managers on running hosts, until all managers are reachable.

        ``keep_identity`` is the floor.
        """
        remaining = [name for name in self._managers if name not in lost]
        chief = remaining[0] if remaining else next(iter(self._managers))
        if not remaining:
            self.seed(chief, LIVE if keep_identity else DOCUMENTED)
        elif 2 * len(remaining) <= len(self._managers):
            on(self._lab, chief, FORCE.format(address=self._managers[chief]))
            for name in remaining[1:]:
                on(self._lab, name, LEAVE)
        else:
            await_reachable(self._lab, chief, len(remaining))
            for name in lost:
                on(self._lab, chief, DEMOTE.format(name=name))
        for name in [
            name
            for name in self._managers
            if name != chief and (2 * len(remaining) <= len(self._managers) or name in lost)
        ]:
            self._rejoin(name, chief, keep_identity)
        await_reachable(self._lab, chief, len(self._managers))

    def _rejoin(self, name: str, chief: str, keep_identity: bool) -> None:
        token = on(self._lab, chief, "docker swarm join-token -q manager").strip()
        if keep_identity:
            on(self._lab, chief, f"docker node promote {name} >/dev/null")
            on(self._lab, name, IDENTITY, self._archives[name])
        else:
            on(self._lab, chief, f"docker node rm --force {name} >/dev/null")
        join(self._lab, [name], self._managers, token, self._managers[chief])


def build(lab: Instance, managers: Mapping[str, str], workers: Mapping[str, str]) -> None:
    """Build a swarm on running hosts: managers one after the other, workers in parallel. Returns when all have joined."""
    first, *others = managers
    on(lab, first, f"docker swarm init --advertise-addr {managers[first]} >/dev/null")
    tokens = {role: on(lab, first, f"docker swarm join-token -q {role}").strip() for role in ("manager", "worker")}
    for name in others:
        join(lab, [name], managers, tokens["manager"], managers[first])
    join(lab, workers, workers, tokens["worker"], managers[first])
    await_reachable(lab, first, len(managers))


def join(lab: Instance, names: Iterable[str], addresses: Mapping[str, str], token: str, seed: str) -> None:
    """Let the nodes join in parallel."""

    def one(name: str) -> None:
        on(lab, name, JOIN.format(token=token, address=addresses[name], seed=seed))

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(one, names))


def seconds(lab: Instance, node: str, script: str) -> float:
    """The duration of a script on a node. Its last line has the times of its start and end."""
    begun, ended = map(float, on(lab, node, script).split()[-2:])
    return ended - begun


def await_reachable(lab: Instance, node: str, managers: int, seconds: float = 120) -> None:
    """Wait until the node lists ``managers`` managers as leader or reachable."""
    end = time.monotonic() + seconds
    listing = "docker node ls --format '{{.ManagerStatus}}' 2>/dev/null || true"
    while sum(line in ("Leader", "Reachable") for line in on(lab, node, listing, check=False).splitlines()) < managers:
        if time.monotonic() > end:
            raise TimeoutError(f"{managers} managers are not reachable within {seconds:.0f} s")
        time.sleep(0.05)


def on(lab: Instance, node: str, script: str, archive: Path | None = None, *, check: bool = True) -> str:
    """Run a shell script on a node. Returns its output."""
    with archive.open("rb") if archive else Path(os.devnull).open("rb") as stdin:
        command = ["docker", "exec", "-i", node, "bash", "-o", "pipefail", "-c", script]
        environment = {**os.environ, "DOCKER_HOST": lab.docker_host}
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False, env=environment)
    if check and done.returncode != 0:
        raise RuntimeError(f"on {node}: {done.stderr.strip()}")
    return done.stdout
