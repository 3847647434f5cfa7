"""Looks at the raft log and the disk of a manager whose engine does not come up with its swarm. Changes nothing."""

from dataclasses import dataclass, replace

from recovery.errors import CommandFailed, DamagedCopy
from recovery.node import program
from recovery.node.ssh import Shell
from recovery.swarm.engine_version import reaches
from recovery.swarm.model import LocalState, NodeReport, Reach

LEAST_BYTES = 64 << 20
"""An engine that starts makes the next segment of its log first (etcd, server/storage/wal: SegmentSizeBytes)."""
SECONDS = 120.0
"""For a log of hundreds of megabytes. One of 10,000 entries takes a few seconds."""
NO_SPACE = "no space left on device"
ENGINES_WORDS = ("WAL", "snapshot")
"""In an engine's error about its log (swarmkit, manager/state/raft/storage: ReadRepairWAL, and the node's `raft.go`)."""
OFF = frozenset({"inactive", "failed", "activating"})
"""systemd's words for an engine that does not run, or that it starts again. One that hangs is active, and its raft member may
live."""
LOOP_SECONDS = 60.0
"""An active engine that systemd has started again by itself within this time, and that does not answer, crashes again and again."""
UNIT = (
    "systemctl show --property=ActiveState,NRestarts,ExecMainStartTimestampMonotonic docker.service; "
    "echo now=$(cut -d' ' -f1 /proc/uptime)"
)
MENDING = "28"
"""The first release, of those that were tried, that mends a frame which runs out of the last file. 26.1 refuses to start with it
("max entry size limit exceeded"), and 20.10 breaks down. A locked engine does so when it is unlocked."""
STALLED = frozenset({LocalState.ERROR, LocalState.PENDING, LocalState.LOCKED})
"""The states of an engine whose raft member has stopped, or did not start. A locked one starts it when it is unlocked. If it
stopped while the engine ran, as on a disk that fills up, engine 28 goes on to say `active`, and has no control."""


def examined(shell: Shell, seen: NodeReport, root: str, free: int | None) -> NodeReport:
    """The report, with what is wrong with the log or the disk if that stops the engine. ``free`` are bytes on its disk.

    The log is read only if its engine is down, locked, in state `error`, or in no swarm. Raises: Silent.
    """
    if seen.reach is Reach.NO_RIGHTS or not seen.raft or seen.placed:
        return seen
    down = seen.reach is Reach.NO_ENGINE
    stopped = seen.state in STALLED or (seen.state is LocalState.ACTIVE and not seen.control)
    if (down or stopped) and free is not None and free < LEAST_BYTES:
        return replace(
            seen, full=f"{free >> 20} MiB are free, and Docker needs {LEAST_BYTES >> 20} MiB{_removable(shell, root)}"
        )
    if seen.state is LocalState.ERROR and NO_SPACE in seen.detail:
        return replace(seen, full="it has space again")
    if down or seen.left_over or seen.state in (LocalState.ERROR, LocalState.LOCKED):
        return replace(seen, damage=_damage(shell, seen, root))
    return seen


def _damage(shell: Shell, seen: NodeReport, root: str) -> str:
    """What is wrong with the log. A cut-off last write is nothing, unless the engine failed or crashes over it, or will do so."""
    down = seen.reach is Reach.NO_ENGINE
    engine = _engine(shell) if down else _Unit()
    if down and not engine.off:
        return ""
    failed = seen.state is LocalState.ERROR and any(word in seen.detail for word in ENGINES_WORDS)
    try:
        found = program.run(shell, "examine", root, seconds=SECONDS)
    except (CommandFailed, DamagedCopy):
        return seen.detail if failed else ""
    will_fail = found["runs_out"] and seen.state is LocalState.LOCKED and not reaches(seen.engine, MENDING)
    if found["fault"] and (failed or will_fail or not found["mends"] or engine.crashes):
        return str(found["fault"])
    return seen.detail if failed and not seen.repaired else ""


@dataclass(frozen=True)
class _Unit:
    """What systemd says of an engine that does not answer."""

    off: bool = False
    """Whether it does not run, or runs only for a moment at a time."""
    crashes: bool = False
    """Whether systemd has started it again by itself. Engine 20.10 takes a length in its log at its word, and is killed for want of
    memory. It breaks down over a lost snapshot too."""


def _engine(shell: Shell) -> _Unit:
    """The engine as systemd knows it. Nothing is known of it if the node tells nothing."""
    told = shell.run(["sh", "-c", UNIT], check=False).stdout.decode(errors="replace")
    values = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    try:
        crashes = int(values["NRestarts"]) > 0
        seconds = float(values["now"]) - int(values["ExecMainStartTimestampMonotonic"]) / 1e6
    except (KeyError, ValueError):
        crashes, seconds = False, 0.0
    return _Unit(values.get("ActiveState") in OFF or (crashes and seconds < LOOP_SECONDS), crashes)


def _removable(shell: Shell, root: str) -> str:
    """What takes space on the disk and may be removed, in words."""
    try:
        found: list[str] = program.run(shell, "removable", root)
    except (CommandFailed, DamagedCopy):
        return ""
    return f". What takes space: {', '.join(found)}" if found else ""
