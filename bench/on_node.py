"""Measures on a manager, with the agent's own library, the cost of the agent. Prints JSON.

The verbs are ``idle SECONDS`` (the watch), ``look`` and ``copy`` (a round without and with a copy), and ``peak`` (the
memory of a round with a copy). A round is the command of its unit, run while the watches are stopped. Nodes need not
have systemd's accounting, and a round's sandbox is not part of its unit.
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
    """Measure the watch and its children while nothing changes: CPU seconds, and memory in bytes."""
    watch, before = _shown("requorum-watch", "MainPID"), _shown("requorum-copy", "InvocationID")
    begun = _cpu(watch)
    time.sleep(float(seconds))
    used = _cpu(watch) - begun
    if _shown("requorum-copy", "InvocationID") != before:
        sys.exit("something changed: a round was run meanwhile")
    memory = _memory(watch)
    return {"cpu": used, "rss": memory["Rss"], "pss": memory["Pss"]}


def measured(due: bool) -> dict[str, float]:
    """Measure a round: its seconds, CPU seconds with its children, and, for a copy, the agent's own figures."""
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
    """Measure the peak memory of a round's processes and of its sandbox's files, in bytes.

    Shared pages count in parts (PSS).
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
    state: dict[str, Any] = json.loads((STATE / "state.json").read_text())
    return state


def _shown(unit: str, what: str) -> str:
    argv = ["systemctl", "show", f"{unit}.service", f"--property={what}", "--value"]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def _cpu(pid: str) -> float:
    """The CPU seconds of a process: exact for its threads (schedstat), in ticks for ended children (proc(5))."""
    threads = sum(int(file.read_text().split()[0]) for file in Path("/proc", pid, "task").glob("*/schedstat"))
    children = sum(map(int, Path("/proc", pid, "stat").read_text().rsplit(")", 1)[1].split()[13:15]))
    return threads / 1e9 + children / TICKS


def _memory(pid: str | int) -> dict[str, int]:
    lines = Path("/proc", str(pid), "smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) * KIB for line in lines}


def _resident(pid: int) -> int:
    """The memory of a process, without mapped files in memory. `_files` counts these files."""
    with suppress(OSError, KeyError):
        memory = _memory(pid)
        return memory["Pss_Anon"] + memory["Pss_File"]
    return 0


def _below(pid: int) -> Iterator[int]:
    for children in Path("/proc", str(pid), "task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, children.read_text().split()):
                yield child
                yield from _below(child)


def _files(processes: list[int]) -> int:
    """The size of the files in the sandbox's memory, which only its own processes can see."""
    ours = Path("/mnt").stat().st_dev
    for pid in processes:
        with suppress(OSError):
            root = Path(f"/proc/{pid}/root/mnt")
            if root.stat().st_dev != ours:
                usage = os.statvfs(root)
                return (usage.f_blocks - usage.f_bfree) * usage.f_frsize
    return 0


VERBS: dict[str, Callable[..., dict[str, float]]] = {
    "idle": idle,
    "look": lambda: measured(False),
    "copy": lambda: measured(True),
    "peak": peak,
}

if __name__ == "__main__":
    print(json.dumps(VERBS[sys.argv[1]](*sys.argv[2:])))
