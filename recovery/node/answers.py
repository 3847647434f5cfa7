"""What a Docker engine answers, typed. An engine that somebody else controls may answer anything.

Each function takes a part of an answer as the Docker library parsed it, and gives it back with the declared types. Whatever is
missing or null is empty, as in the engine's own JSON. Anything else raises Unfit, which is the fault of that engine's node.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

from recovery.swarm.entries import Member
from recovery.swarm.model import LocalState
from recovery.swarm.records import LARGEST, Unfit
from recovery.swarm.workload import Inventory, Service, Task

Json = Mapping[str, Any]
NANOSECONDS = 1_000_000_000
LONGEST = 4096
"""Characters of a name, an ID or a path."""
ROLES, AVAILABILITIES = ("manager", "worker"), ("active", "pause", "drain")


def below(of: Any, *path: str) -> Any:
    """What lies at a path of objects; None if a part of it is missing or null. Raises: Unfit if a part is no object."""
    for key in path:
        if of is None:
            return None
        if not isinstance(of, Mapping):
            raise Unfit(f"{key} is not where it should be")
        of = of.get(key)
    return of


def mapping(of: Any, *path: str) -> Json:
    """The object there. Raises: Unfit."""
    found = below(of, *path)
    if found is not None and not isinstance(found, Mapping):
        raise Unfit(f"{_name(path)} is no object")
    return found or {}


def sequence(of: Any, *path: str) -> Sequence[Any]:
    """The list there. Raises: Unfit."""
    found = below(of, *path)
    if found is not None and not isinstance(found, list | tuple):
        raise Unfit(f"{_name(path)} is no list")
    return found or ()


def text(of: Any, *path: str) -> str:
    """The name, ID or path there, on one line. Raises: Unfit."""
    found = words(of, *path)
    if not found.isprintable() or len(found) > LONGEST:
        raise Unfit(f"{_name(path)} is no name")
    return found


def words(of: Any, *path: str) -> str:
    """The message there. Raises: Unfit."""
    found = below(of, *path)
    if found is not None and not isinstance(found, str):
        raise Unfit(f"{_name(path)} is no text")
    return found or ""


def number(of: Any, *path: str) -> int:
    """The whole number there. Raises: Unfit."""
    found = below(of, *path)
    if found is not None and (type(found) is not int or not 0 <= found < LARGEST):
        raise Unfit(f"{_name(path)} is no number")
    return found or 0


def flag(of: Any, *path: str) -> bool:
    """Whether it is true. Raises: Unfit."""
    found = below(of, *path)
    if found is not None and type(found) is not bool:
        raise Unfit(f"{_name(path)} is neither true nor false")
    return bool(found)


def one_of(known: Sequence[str], of: Any, *path: str) -> str:
    """One of the known words. Raises: Unfit."""
    if (found := text(of, *path)) not in known:
        raise Unfit(f"{_name(path)} is {found[:80]!r}")
    return found


def address(of: Any, *path: str) -> str:
    """The address there, which may have a port. Empty if there is none. Raises: Unfit."""
    found = text(of, *path)
    host, colon, port = found.rpartition(":")
    try:
        if colon and port.isdecimal() and (host.startswith("[") or ":" not in host):
            ip_address(host.strip("[]"))
        elif found:
            ip_address(found)
    except ValueError:
        raise Unfit(f"{_name(path)} is no address: {found[:80]!r}") from None
    return found


def labels(of: Any, *path: str) -> Mapping[str, str]:
    """The labels there. Raises: Unfit."""
    found = mapping(of, *path)
    return {key: words(found, key) for key in found if isinstance(key, str)}


def info(of: Any) -> Json:
    """What an engine says of itself: the fields that Requorum reads, under the engine's own names. Raises: Unfit."""
    swarm = mapping(of, "Swarm")
    state = text(swarm, "LocalNodeState") or "inactive"
    cluster: dict[str, Any] = {"ID": text(swarm, "Cluster", "ID")}
    if mapping(swarm, "Cluster", "Spec"):
        told = mapping(swarm, "Cluster")
        cluster |= {
            "Spec": spec(told),
            "DataPathPort": number(told, "DataPathPort"),
            "DefaultAddrPool": [text({"pool": one}, "pool") for one in sequence(told, "DefaultAddrPool")],
            "SubnetSize": number(told, "SubnetSize"),
            "RootRotationInProgress": flag(told, "RootRotationInProgress"),
            "TLSInfo": {"TrustRoot": words(told, "TLSInfo", "TrustRoot")},
        }
    root = text(of, "DockerRootDir")
    if root and not root.startswith("/"):
        raise Unfit("DockerRootDir is no path")
    options = [text({"option": one}, "option") for one in sequence(of, "SecurityOptions")]
    podman = {"BuildahVersion": text(of, "BuildahVersion")} if below(of, "BuildahVersion") else {}
    return {
        "ServerVersion": text(of, "ServerVersion"),
        "DockerRootDir": root,
        "SecurityOptions": options,
        **podman,
        "Swarm": {
            "LocalNodeState": one_of(tuple(LocalState), {"state": state}, "state"),
            "ControlAvailable": flag(swarm, "ControlAvailable"),
            "NodeID": text(swarm, "NodeID"),
            "NodeAddr": address(swarm, "NodeAddr"),
            "Error": words(swarm, "Error"),
            "RemoteManagers": list(_remotes(swarm)),
            "Cluster": cluster,
        },
    }


def spec(of: Any) -> Json:
    """The swarm's options in the answer, for whoever writes them back. Those that Requorum reads have their types. Raises: Unfit."""
    found = mapping(of, "Spec")
    flag(found, "EncryptionConfig", "AutoLockManagers")
    labels(found, "Labels")
    for part in ("Raft", "Orchestration", "Dispatcher", "CAConfig", "TaskDefaults"):
        mapping(found, part)
    return found


def member(of: Any) -> Member:
    """An entry of the node list. Raises: Unfit."""
    manager = mapping(of, "ManagerStatus")
    own = ""
    with suppress(Unfit):
        own = address(of, "Status", "Addr")  # of a node that is down, some engines tell none
    return Member(
        node_id=text(of, "ID"),
        hostname=text(of, "Description", "Hostname"),
        address=own,
        role=one_of(ROLES, of, "Spec", "Role"),
        availability=one_of(AVAILABILITIES, of, "Spec", "Availability"),
        ready=text(of, "Status", "State") == "ready",
        leader=flag(manager, "Leader"),
        reachable=text(manager, "Reachability") == "reachable",
        manager_address=address(of, "ManagerStatus", "Addr"),
        labels=labels(of, "Spec", "Labels"),
    )


def inventory(kinds: Mapping[str, Any], swarm: Any) -> Inventory:
    """The IDs in the lists of the swarm's objects, and the highest version of all. Raises: Unfit."""
    entries = {kind: [mapping({"entry": one}, "entry") for one in sequence(kinds, kind)] for kind in kinds}
    versions = [number(one, "Version", "Index") for listed in entries.values() for one in listed]
    objects = {
        kind: frozenset(text(one, "ID") or text(one, "Id") for one in listed) for kind, listed in entries.items()
    }
    return Inventory(objects, max([*versions, number(swarm, "Version", "Index")]))


def services(of: Any) -> tuple[Service, ...]:
    """Every service that runs permanently. Raises: Unfit."""
    return tuple(_service(one) for one in sequence({"services": of}, "services") if _mode(one))


def task(of: Any) -> Task:
    """A task. Raises: Unfit."""
    return Task(
        service_id=text(of, "ServiceID"),
        node_id=text(of, "NodeID"),
        running=text(of, "Status", "State") == "running",
        slot=number(of, "Slot"),
        container=text(of, "Status", "ContainerStatus", "ContainerID"),
        image=text(of, "Spec", "ContainerSpec", "Image"),
        definition=_definition(mapping(of, "Spec")),
    )


def last_fault(of: Sequence[Any]) -> str:
    """Why the newest of these tasks failed that did; empty if none did. Raises: Unfit."""
    failed = [(text(task, "CreatedAt"), fault) for task in of if (fault := words(task, "Status", "Err"))]
    return max(failed, default=("", ""))[1]


def _remotes(swarm: Json) -> Iterator[Json]:
    """The managers that it knows, with their addresses. A node that has just joined may know one by a name, which says nothing here."""
    for one in sequence(swarm, "RemoteManagers"):
        with suppress(Unfit):
            if found := address(known := mapping({"one": one}, "one"), "Addr"):
                yield {"Addr": found, "NodeID": text(known, "NodeID")}


def _mode(of: Any) -> str | None:
    return next((mode for mode in ("Replicated", "Global") if mode in mapping(of, "Spec", "Mode")), None)


def _service(of: Any) -> Service:
    replicated = _mode(of) == "Replicated"
    attached = sequence(of, "Spec", "TaskTemplate", "Networks") or sequence(of, "Spec", "Networks")
    virtual_ips = (
        (text(ip, "NetworkID"), text(ip, "Addr").split("/")[0]) for ip in sequence(of, "Endpoint", "VirtualIPs")
    )
    return Service(
        service_id=text(of, "ID"),
        name=text(of, "Spec", "Name"),
        replicas=number(of, "Spec", "Mode", "Replicated", "Replicas") if replicated else None,
        virtual_ips=tuple((network, ip) for network, ip in virtual_ips if ip),
        networks=frozenset(text(network, "Target") for network in attached),
        update=text(of, "UpdateStatus", "State"),
        begun=text(of, "UpdateStatus", "StartedAt"),
        definition=_definition(mapping(of, "Spec", "TaskTemplate")),
        longest_wait=_longest_wait(mapping(of, "Spec")),
    )


def _longest_wait(spec: Json) -> float:
    ended = number(spec, "TaskTemplate", "ContainerSpec", "StopGracePeriod")
    rolling = (number(spec, how, "Delay") + number(spec, how, "Monitor") for how in ("UpdateConfig", "RollbackConfig"))
    return (ended + max(rolling)) / NANOSECONDS


def stack(of: Any) -> Mapping[str, str]:
    """A digest of each service by name, without how often its tasks were replaced on request. Raises: Unfit."""
    found = {}
    for one in sequence({"services": of}, "services"):
        spec = mapping(one, "Spec")
        kept = {key: value for key, value in mapping(spec, "TaskTemplate").items() if key != "ForceUpdate"}
        found[text(spec, "Name")] = _digest({**spec, "TaskTemplate": kept})
    return found


def _digest(of: Json) -> str:
    return sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()


def _definition(of: Json) -> str:
    """A digest of a task's definition, alike for a service and its tasks.

    It leaves the placement out: a task on a node that still suits stays (swarmkit, IsTaskDirty). The engine tells the runtime
    for a service alone (moby, daemon/cluster/convert).
    """
    return _digest({key: value for key, value in of.items() if key not in ("Placement", "Runtime")})


def _name(path: Sequence[str]) -> str:
    return ".".join(path) or "it"
