"""Damages the raft log of a node as a power cut or a bad disk does, and fills the disk of its swarm directory."""

from collections.abc import Sequence

from lab import command, nodes
from lab.instance import Instance

FLIPPED_EARLY, FLIPPED_MIDDLE, FLIPPED_LATE = "flipped early", "flipped middle", "flipped late"
TORN, TOO_LONG, TRUNCATED, EMPTIED, NO_SNAPSHOT = "torn", "too long", "truncated", "emptied", "no snapshot"
HARM = r"""
import pathlib, sys

how, raft = sys.argv[1], pathlib.Path(*sys.argv[2:] or ["/var/lib/docker/swarm/raft"])
if how == "no snapshot":
    for path in (raft / "snap-v3-encrypted").glob("*.snap"):
        path.unlink()
    sys.exit()
path = sorted((raft / "wal-v3-encrypted").glob("*.wal"))[-1]
log, frames, at = bytearray(path.read_bytes()), [], 0
while at + 8 <= len(log):
    head = int.from_bytes(log[at:at + 8], "little")
    record = head & (1 << 56) - 1
    length = record + ((head >> 56) & 7 if head >> 63 else 0)
    if not length:
        break
    frames.append((at + 8, record, length))
    at += 8 + length
chosen = {"flipped early": len(frames) // 4, "flipped middle": len(frames) // 2, "emptied": 0}
start, record, length = frames[chosen.get(how, -1)]
if how == "torn":
    half = start + length // 2
    log[half:at] = bytes(at - half)
    for sector in range(-(-half // 512) * 512, at, 512):
        log[sector] = 0x55  # an engine mends a frame by itself if a whole sector of it is empty
elif how == "too long":
    log[start - 8:start] = (1 << 40).to_bytes(8, "little")
elif how == "truncated":
    del log[start + length // 2:]
elif how == "emptied":
    log = bytearray(len(log))
else:
    log[start + record - 1] ^= 0x10  # the end of its content: in its head, the engine may not come to the checksum
with path.open("r+b") as file:
    file.write(log)
    file.truncate()
"""
"""Changes the log in place: a flipped byte after a quarter, in the middle or at the end, half of the last frame, a length
that runs out of the file, a file that ends within the last frame, or all of it. Or removes its snapshots."""
SMALL = (
    "mkdir -p /mnt/small; mount -t tmpfs -o size=2g none /mnt/small; cp -a --sparse=always /var/lib/docker/swarm/. /mnt/small/; "
    "mount -o remount,size=$(($(du -sk /mnt/small | cut -f1) + $1))k /mnt/small; "
    "chmod 700 /mnt/small; mount --bind /mnt/small /var/lib/docker/swarm"
)
"""Moves the swarm directory to a small disk, on which so many KiB are free. An engine reserves 64 MB for its log."""
WRITES = (
    "i=0; while [ $i -lt $1 ] && head -c 700000 /dev/urandom | base64 | timeout 40 docker config create load-$i - >/dev/null; "
    "do i=$((i+1)); done; echo $i"
)
"""Writes configs of 950 KB until the engine takes no more. Prints how many it took."""
NEARLY_FULL = 4
"""KiB with which an engine does not start. With 30 MiB, some go on until their log needs its next file."""
LONGEST = 300.0
"""Seconds for a command on a node, also for the writes that fill a disk."""
EMPTY = "mount -o remount,size=1g /mnt/small"
ORDINARY = (
    "umount /var/lib/docker/swarm; rm -rf /var/lib/docker/swarm/..?* /var/lib/docker/swarm/.[!.]* /var/lib/docker/swarm/*; "
    "cp -a --sparse=always /mnt/small/. /var/lib/docker/swarm/; umount /mnt/small"
)
"""Moves the swarm directory back to the node's disk."""


def harm(instance: Instance, name: str, how: str) -> None:
    """Damage the log of a node while its engine is off, and start the engine again, whether it comes up or not."""
    harm_all(instance, [name], how)


def harm_all(instance: Instance, names: Sequence[str], how: str) -> None:
    """Damage the logs of nodes as `harm`. All their engines are off before one starts again, as after a power cut."""
    nodes.together(names, lambda name: _stop(instance, name))
    nodes.together(names, lambda name: _on(instance, name, ["python3", "-c", HARM, how]))
    nodes.together(names, lambda name: _start(instance, name))


def fill(instance: Instance, name: str) -> None:
    """Give the swarm directory of a node a small disk that is nearly full, and start its engine, which fails over it."""
    _with_engine_off(instance, name, ["sh", "-ec", SMALL, "small", str(NEARLY_FULL)])


def make_small(instance: Instance, name: str, free: int) -> None:
    """Give the swarm directory of a node a small disk, on which ``free`` MiB are free, and start its engine."""
    _with_engine_off(instance, name, ["sh", "-ec", SMALL, "small", str(free << 10)])


def write_until_full(instance: Instance, name: str, *, most: int = 400) -> int:
    """Write configs through a manager until its engine takes no more, or ``most`` of them. Returns how many it took."""
    return int(_on(instance, name, ["sh", "-c", WRITES, "write", str(most)]).split()[-1])


def make_ordinary(instance: Instance, name: str) -> None:
    """Move the swarm directory of a node from the small disk back to its own."""
    _with_engine_off(instance, name, ["sh", "-ec", ORDINARY])


def make_space(instance: Instance, name: str) -> None:
    """Give the small disk more space."""
    _on(instance, name, ["sh", "-ec", EMPTY])


def _with_engine_off(instance: Instance, name: str, argv: list[str]) -> None:
    _stop(instance, name)
    _on(instance, name, argv)
    _start(instance, name)


def _stop(instance: Instance, name: str) -> None:
    _on(instance, name, ["systemctl", "stop", "docker.service", "docker.socket"])


def _start(instance: Instance, name: str) -> None:
    _on(instance, name, ["sh", "-c", "systemctl start docker.socket docker.service || true"])


def _on(instance: Instance, name: str, argv: list[str]) -> str:
    inside = ["docker", "-H", instance.docker_host, "exec", name, *argv]
    return command.run(inside, doing=f"damaging {name}", advice="It must be running: start it first", timeout=LONGEST)
