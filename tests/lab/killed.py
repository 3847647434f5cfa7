"""Updates and recoveries that are killed at a line of their progress."""

import multiprocessing
import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock

import recovery.cluster
from lab.stack import Stack
from recovery.operations.assess import Assessment, assess
from recovery.operations.recover import recover_all
from recovery.settings import Settings

SECONDS = 120.0


def update_killed_at(stack: Stack, line: str, *options: str, after: Callable[[], None] | None = None) -> bool:
    """Run ``pulumi up``, and end it with its providers, without a warning, when it shows such a line and ``after`` returns.

    ``line`` is a regular expression for a part of the line.

    Returns whether the line came.
    """
    command = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--cwd", str(stack.project), *options]
    command += ["--stack", stack.name, "--config-file", str(stack.file)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=stack.environment(), start_new_session=True
    )
    assert process.stdout is not None
    try:
        came = any(re.search(line, shown) for shown in process.stdout)
        if came and after:
            after()
    finally:
        for member in session(process.pid):
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        process.wait()
    return came


def session(leader: int) -> list[int]:
    """The processes of a session, the leader first: Pulumi gives each of its plugins a process group of its own."""
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if os.getsid(int(entry.name)) == leader:
                members.append(int(entry.name))
    return sorted(members, key=lambda pid: pid != leader)


def recovery_killed_at(settings: Settings, line: str, *, after: Callable[[], None] | None = None) -> bool:
    """Recover without Pulumi in a separate process, which goes no further than the line, and kill it there.

    With ``after``, the process goes on from the line, and is killed when that function returns. Returns whether the line
    came.
    """
    here, there = multiprocessing.get_context("spawn").Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_recover, args=(settings, there))
    child.start()
    there.close()
    came = False
    try:
        with suppress(EOFError):
            while not came and here.poll(SECONDS):
                came = line in str(here.recv())
                if not came or after:
                    here.send(None)
        if came and after:
            after()
    finally:
        child.kill()
        child.join()
    return came


def _recover(settings: Settings, there: Connection) -> None:
    """Recover as `requorum recover --yes` does. After each line, wait for the word to go on."""
    one_at_a_time = Lock()

    def say(line: str) -> None:
        with one_at_a_time:
            there.send(line)
            there.recv()

    cluster = recovery.cluster.Cluster(settings)
    assessment: Assessment = assess(cluster)
    recover_all(cluster, replace(assessment, plan=assessment.plan.agreed()), say=say)
