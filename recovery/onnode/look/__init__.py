"""Looks at a machine and at its part of the swarm: what `requorum doctor` needs to know. Changes nothing.

The parts run side by side. What one does not find within the time is not seen, and the others are told.
"""

import http.client
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

from recovery.onnode import api
from recovery.onnode.look import disks, drbd, layers, machine, ports, services, units
from recovery.swarm.client import ENGINE_SOCKET

SECONDS = 6.0
"""For all parts together, so that a look at 29 nodes ends within 10 s with the logins."""
ENGINE_SECONDS = 2.5
DATA_ROOT = "/var/lib/docker"
FAULTS = (OSError, ValueError, KeyError, TypeError, api.Refused, http.client.HTTPException, subprocess.SubprocessError)
"""What a machine that is not well may answer with."""


def look(request: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is found within `SECONDS`.

    ``request`` has ``node`` (our name), ``peers`` (each with name, address, path and manager), ``port`` (of the overlay's
    traffic), ``managers_port`` (of the managers' API) and ``token`` (of this look, the same on every node).
    """
    began, engine = time.time(), Path(ENGINE_SOCKET)
    try:
        info: Mapping[str, Any] = api.ask(engine, "GET", "/info", seconds=ENGINE_SECONDS) or {}
    except FAULTS:
        info = {}
    root = str(info.get("DockerRootDir") or DATA_ROOT)
    control = bool((info.get("Swarm") or {}).get("ControlAvailable"))
    acts: dict[str, Callable[[], Any]] = {
        "disks": lambda: disks.look(root, engine),
        "layers": lambda: layers.look(engine) if info else [],
        "units": units.look,
        "ended_tasks": lambda: services.ended(engine) if info else [],
        "swarm": lambda: services.look(engine) if control else None,
        "ports": lambda: ports.look(engine, request),
        "machine": lambda: machine.look(root),
        "drbd": drbd.look,
    }
    found: dict[str, Any] = {}
    faults: dict[str, str] = {}

    def run(part: str) -> None:
        try:
            found[part] = acts[part]()
        except FAULTS as error:
            faults[part] = f"{type(error).__name__}: {error}"[:300]

    threads = {part: Thread(target=run, args=(part,), daemon=True) for part in acts}
    for thread in threads.values():
        thread.start()
    end = time.monotonic() + SECONDS
    for thread in threads.values():
        thread.join(max(0.0, end - time.monotonic()))
    done = dict(found)
    unseen = [f"{part}: {faults.get(part, f'not within {SECONDS:g} s')}" for part in acts if part not in done]
    return {"began": began, "ended": time.time(), "root": root, "unseen": unseen, **done}


def main(_program: str, argv: list[str]) -> int:
    """Look, and print what is found as JSON. ``argv`` is the verb and the request as JSON."""
    print(json.dumps(look(json.loads(argv[1]))))
    return 0
