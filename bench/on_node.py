"""Runs on a manager, with the agent's own library: what the agent costs there, as JSON.

``idle SECONDS`` (of the watch), ``look``, ``copy`` (a round), ``peak`` (the memory of one that copies). A round is the
command of its unit, with the watches stopped: nodes need not have systemd's accounting, and a round's sandbox is no part of
its unit.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from recovery.agent.config import STATE
from recovery.agent.run import DUE

ROUND = (sys.executable, "-m", "recovery.agent", "copy")
SAMPLE_SECONDS = 0.03
KIB = 1024
TICKS = os.sysconf("SC_CLK_TCK")


def idle(seconds: str) -> dict[str, float]:
    """CPU seconds of the watch, and of what it ran, in a time in which nothing changes; its memory in bytes."""
    watch, before = _shown("requorum-watch", "MainPID"), _shown("requorum-copy", "InvocationID")
    begun = _cpu(watch)
    time.sleep(float(seconds))
    used = _cpu(watch) - begun
    if _shown("requorum-copy", "InvocationID") != before:
        sys.exit("something changed: a round was run meanwhile")
    memory = _memory(watch)
    return {"cpu": used, "rss": memory["Rss"], "pss": memory["Pss"]}


def measured(due: bool) -> dict[str, float]:
    """A round: its seconds, CPU seconds with everything it ran, and of a copy the agent's own account."""
    begun = time.monotonic()
    _, status, used = os.wait4(_started(due).pid, 0)
    seconds = time.monotonic() - begun
    if status:
        sys.exit(f"the round failed: {_state()['failure']}")
    state = _state()
    return {
        "seconds": seconds,
        "cpu": used.ru_utime + used.ru_stime,
        "made": state["seconds"],
        "taken": state["taken"],
    }


def peak() -> dict[str, float]:
    """The most memory that a round's processes and its sandbox's files take at any time, in bytes.

    Pages that several processes share are counted in parts (PSS).
    """
    running, most = _started(due=True), 0
    while running.poll() is None:
        processes = [running.pid, *_below(running.pid)]
        most = max(most, sum(map(_resident, processes)) + _files(processes))
        time.sleep(SAMPLE_SECONDS)
    return {"peak": most}


def _started(due: bool) -> "subprocess.Popen[bytes]":
    if due:
        (STATE / DUE).touch()
    return subprocess.Popen(ROUND)


def _state() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((STATE / "state.json").read_text())
    return found


def _shown(unit: str, what: str) -> str:
    argv = ["systemctl", "show", f"{unit}.service", f"--property={what}", "--value"]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def _cpu(pid: str) -> float:
    """Of its threads to the nanosecond (schedstat), of its children that have ended to the tick (see proc(5))."""
    own = sum(int(file.read_text().split()[0]) for file in Path("/proc", pid, "task").glob("*/schedstat"))
    children = sum(map(int, Path("/proc", pid, "stat").read_text().rsplit(")", 1)[1].split()[13:15]))
    return own / 1e9 + children / TICKS


def _memory(pid: str | int) -> dict[str, int]:
    lines = Path("/proc", str(pid), "smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) * KIB for line in lines}


def _resident(pid: int) -> int:
    """Without what it maps of files in memory, which `_files` counts."""
    with suppress(OSError, KeyError):
        found = _memory(pid)
        return found["Pss_Anon"] + found["Pss_File"]
    return 0


def _below(pid: int) -> Iterator[int]:
    for children in Path("/proc", str(pid), "task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, children.read_text().split()):
                yield child
                yield from _below(child)


def _files(processes: list[int]) -> int:
    """What lies in the sandbox's file system in memory, which only processes in it see."""
    ours = Path("/mnt").stat().st_dev
    for pid in processes:
        with suppress(OSError):
            root = Path(f"/proc/{pid}/root/mnt")
            if root.stat().st_dev != ours:
                found = os.statvfs(root)
                return (found.f_blocks - found.f_bfree) * found.f_frsize
    return 0


VERBS: dict[str, Callable[..., dict[str, float]]] = {
    "idle": idle,
    "look": lambda: measured(False),
    "copy": lambda: measured(True),
    "peak": peak,
}

if __name__ == "__main__":
    print(json.dumps(VERBS[sys.argv[1]](*sys.argv[2:])))
