"""The services of the swarm as a manager lists them, and the containers of services that ended here."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from recovery.onnode import api
from recovery.onnode.look import output
from recovery.onnode.look.layers import SERVICE

MOST_FAILURES = 20
"""The newest ones of a service."""
MOST_SERVICES = 1000
MOST_ENDED = 20
LOG_LINES = 10
FAILED = frozenset({"failed", "rejected"})
ENDED = "complete"
WAITING = {
    "new": "the swarm gives it no network, address or port",
    "pending": "no reason is told",
}
"""The states of a task that no node has yet, and what is told of one that has no error (swarmkit, design/task_model.md)."""
WAIT_SECONDS = 30.0
"""A task without an error that waits for less is on its way."""
WANTED = ("running", "complete")
"""What swarm wants of a task that is to run; the second of a job's."""


def look(engine: Path) -> dict[str, Any]:
    """Every service with its failed and waiting tasks, and every node with its attributes."""
    by_service: dict[str, list[Mapping[str, Any]]] = {}
    for task in api.ask(engine, "GET", "/tasks") or []:
        by_service.setdefault(task.get("ServiceID", ""), []).append(task)
    services = (api.ask(engine, "GET", "/services") or [])[:MOST_SERVICES]
    nodes = api.ask(engine, "GET", "/nodes") or []
    return {
        "services": [_service(one, by_service.get(one["ID"], ())) for one in services],
        "nodes": [_node(one) for one in nodes],
    }


def ended(engine: Path) -> list[dict[str, Any]]:
    """The newest container of each service that ended with an error, and that ended without, with the end of its log."""
    listed = api.ask(engine, "GET", '/containers/json?all=1&filters={"status":["exited","dead"]}') or []
    newest: dict[tuple[str, bool], str] = {}
    for one in listed:  # the engine lists the newest first
        if service := (one.get("Labels") or {}).get(SERVICE, ""):
            newest.setdefault((service, one.get("Status", "").startswith("Exited (0)")), one["Id"])
    failed_first = sorted(newest.items(), key=lambda one: one[0][1])[:MOST_ENDED]
    return [{"container": one, "service": name, "lines": _log(engine, one)} for (name, _), one in failed_first]


def _log(engine: Path, container: str) -> list[str]:
    path = f"/containers/{container}/logs?stdout=1&stderr=1&tail={LOG_LINES}"
    return output.last("".join(_plain(api.raw(engine, path))))


def _plain(stream: bytes) -> Iterator[str]:
    """The text of a log whose blocks have headers (Docker Engine API: attach, stream format), or that has none."""
    if not stream.startswith((b"\0\0\0\0", b"\1\0\0\0", b"\2\0\0\0")):
        yield stream.decode(errors="replace")
        return
    at = 0
    while at + 8 <= len(stream):
        (size,) = struct.unpack(">I", stream[at + 4 : at + 8])
        yield stream[at + 8 : at + 8 + size].decode(errors="replace")
        at += 8 + size


def _service(of: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    spec = of.get("Spec") or {}
    replicated = (spec.get("Mode") or {}).get("Replicated")
    placement = (spec.get("TaskTemplate") or {}).get("Placement") or {}
    failed = sorted(
        (one for one in tasks if _state(one) in FAILED or _ends(spec, one)),
        key=lambda one: str(_status(one).get("Timestamp")),
    )
    waits = {_waits(one) for one in tasks if one.get("DesiredState") in (*WANTED, "ready")}
    runs = (one for one in tasks if _state(one) == "running" and one.get("DesiredState") in WANTED)
    running = {one.get("NodeID", "") for one in runs}
    return {
        "service": of["ID"],
        "name": spec.get("Name", ""),
        "replicas": int((replicated or {}).get("Replicas") or 0),
        "constraints": list(placement.get("Constraints") or ()),
        "rolls_back": _rolls_back(spec, of.get("PreviousSpec") or {}),
        "since_update": _since((of.get("UpdateStatus") or {}).get("StartedAt") or of.get("UpdatedAt")),
        "failures": [_failure(one) for one in reversed(failed[-MOST_FAILURES:])],
        "waits": sorted(waits - {""}),
        "runs_on": sorted(running - {""}),
        "everywhere": bool({"Global", "GlobalJob"} & {*(spec.get("Mode") or {})}),
    }


def _rolls_back(spec: Mapping[str, Any], previous: Mapping[str, Any]) -> bool:
    """Whether the tasks were something else before the last update. One that scales or forces a service changes no task, and
    what had no task before is not given back."""
    replicas = ((previous.get("Mode") or {}).get("Replicated") or {}).get("Replicas")
    return bool(previous) and replicas != 0 and _template(previous) != _template(spec)


def _template(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: one for key, one in (spec.get("TaskTemplate") or {}).items() if key != "ForceUpdate"}


def _status(task: Mapping[str, Any]) -> Mapping[str, Any]:
    return task.get("Status") or {}


def _state(task: Mapping[str, Any]) -> str:
    return str(_status(task).get("State"))


def _ends(spec: Mapping[str, Any], task: Mapping[str, Any]) -> bool:
    """Whether a task ended by itself that swarm starts again: not one of a job, and not where the service wants it to end."""
    policy = (spec.get("TaskTemplate") or {}).get("RestartPolicy") or {}
    runs_on = {"Replicated", "Global"} & {*(spec.get("Mode") or {})}
    return bool(runs_on) and policy.get("Condition", "any") == "any" and _state(task) == ENDED


def _waits(task: Mapping[str, Any]) -> str:
    """Why a task waits; empty if it does not, or not for long."""
    state = _state(task)
    if state not in WAITING:
        return ""
    return str(_status(task).get("Err") or "") or (WAITING[state] if _age(task) > WAIT_SECONDS else "")


def _age(task: Mapping[str, Any]) -> float:
    return _since(_status(task).get("Timestamp"))


def _since(moment: Any) -> float:
    """Seconds since then; 0 if nobody tells when."""
    if not moment:
        return 0.0
    # nanoseconds are more than fromisoformat of older versions takes
    at = datetime.fromisoformat(str(moment)[:19]).replace(tzinfo=timezone.utc)
    return max(0.0, (datetime.now(timezone.utc) - at).total_seconds())


def _failure(task: Mapping[str, Any]) -> dict[str, Any]:
    status = _status(task)
    ended = "it ended with exit status 0, and swarm starts it again" if _state(task) == ENDED else ""
    return {
        "task": task.get("ID", ""),
        "error": str(status.get("Err") or ended or status.get("Message") or "")[: output.WIDTH],
        "age": _age(task),
        "node": task.get("NodeID") or "",
        "container": (status.get("ContainerStatus") or {}).get("ContainerID") or "",
        "slot": int(task.get("Slot") or 0),
    }


def _node(of: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a node that constraints name (swarmkit, manager/constraint)."""
    description, spec = of.get("Description") or {}, of.get("Spec") or {}
    platform, engine = description.get("Platform") or {}, description.get("Engine") or {}
    attributes = {
        "node.id": of["ID"],
        "node.hostname": description.get("Hostname", ""),
        "node.ip": (of.get("Status") or {}).get("Addr", ""),
        "node.role": spec.get("Role", ""),
        "node.platform.os": platform.get("OS", ""),
        "node.platform.arch": platform.get("Architecture", ""),
        **{f"node.labels.{key}": value for key, value in (spec.get("Labels") or {}).items()},
        **{f"engine.labels.{key}": value for key, value in (engine.get("Labels") or {}).items()},
        "availability": spec.get("Availability", ""),
        "state": (of.get("Status") or {}).get("State", ""),
    }
    return {"node": of["ID"], "hostname": attributes["node.hostname"], "attributes": attributes}
