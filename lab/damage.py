"""Damages the raft log of a node as a power cut or a bad disk does, and fills the disk of its swarm directory."""

from lab import command
from lab.instance import Instance

FLIPPED_EARLY, FLIPPED_LATE, TORN, EMPTIED = "flipped early", "flipped late", "torn", "emptied"
HARM = r"""
import pathlib, sys

path = sorted(pathlib.Path("/var/lib/docker/swarm/raft/wal-v3-encrypted").glob("*.wal"))[-1]
log, frames, at = bytearray(path.read_bytes()), [], 0
while at + 8 <= len(log):
    head = int.from_bytes(log[at:at + 8], "little")
    length = (head & (1 << 56) - 1) + ((head >> 56) & 7 if head >> 63 else 0)
    if not length:
        break
    frames.append((at + 8, length))
    at += 8 + length
middle, length = {"flipped early": frames[len(frames) // 4], "emptied": frames[0]}.get(sys.argv[1], frames[-1])
if sys.argv[1] == "torn":
    half = middle + length // 2
    log[half:at] = bytes(at - half)
    for sector in range(-(-half // 512) * 512, at, 512):
        log[sector] = 0x55  # an engine mends a frame by itself if a whole sector of it is empty
elif sys.argv[1] == "emptied":
    log = bytearray(len(log))
else:
    log[middle + length // 2] ^= 0x10
with path.open("r+b") as file:
    file.write(log)
"""
"""Changes the log in place: a flipped byte in a frame after a quarter or at the end, half of the last frame, or all of it."""
SMALL = (
    "mkdir -p /mnt/small; mount -t tmpfs -o size=100m none /mnt/small; cp -a --sparse=always /var/lib/docker/swarm/. "
    "/mnt/small/; chmod 700 /mnt/small; mount --bind /mnt/small /var/lib/docker/swarm; "
    "head -c 62914560 /dev/zero > /mnt/small/filler"
)
"""Moves the swarm directory to a disk of 100 MiB, of which 60 are taken."""
EMPTY = "rm /mnt/small/filler"


def harm(instance: Instance, name: str, how: str) -> None:
    """Damage the log of a node while its engine is off, and start the engine again, whether it comes up or not."""
    _with_engine_off(instance, name, ["python3", "-c", HARM, how])


def fill(instance: Instance, name: str) -> None:
    """Give the swarm directory of a node a small disk that is nearly full, and start its engine, which fails over it."""
    _with_engine_off(instance, name, ["sh", "-ec", SMALL])


def make_space(instance: Instance, name: str) -> None:
    """Remove what fills the small disk."""
    _on(instance, name, ["sh", "-ec", EMPTY])


def _with_engine_off(instance: Instance, name: str, argv: list[str]) -> None:
    _on(instance, name, ["systemctl", "stop", "docker.service", "docker.socket"])
    _on(instance, name, argv)
    _on(instance, name, ["sh", "-c", "systemctl start docker.socket docker.service || true"])


def _on(instance: Instance, name: str, argv: list[str]) -> None:
    inside = ["docker", "-H", instance.docker_host, "exec", name, *argv]
    command.run(inside, doing=f"damaging {name}", advice="It must be running: start it first")
