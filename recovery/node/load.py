"""What an engine answers about nodes, services and tasks, as swarm's scheduler sees them, and about a rotation of the CA."""

from collections.abc import Iterator, Mapping
from typing import Any

from recovery.node.answers import flag, labels, mapping, member, number, sequence, text, words
from recovery.swarm.placing import RUNS, Load, Needs, Placed, Room
from recovery.swarm.rotation import CaRotation


def load(nodes: Any, services: Any, tasks: Any) -> Load:
    """The load of the swarm, from the lists of its nodes, services and tasks. Raises: Unfit."""
    rooms = tuple(_room(one) for one in sequence({"nodes": nodes}, "nodes"))
    known = {text(one, "ID"): one for one in sequence({"services": services}, "services")}
    return Load(rooms, tuple(_placed(known, sequence({"tasks": tasks}, "tasks"))))


def count_running(tasks: Any) -> int:
    """How many of the tasks have, or will soon have, a container. Raises: Unfit."""
    return sum(text(one, "Status", "State") in RUNS for one in sequence({"tasks": tasks}, "tasks"))


def rotated(swarm: Any, nodes: Any) -> CaRotation:
    """How far a rotation of the CA is, from the swarm and the list of its nodes. Raises: Unfit."""
    issuer = words(swarm, "TLSInfo", "CertIssuerPublicKey")
    entries = sequence({"nodes": nodes}, "nodes")
    behind = [one for one in entries if words(one, "Description", "TLSInfo", "CertIssuerPublicKey") != issuer]
    return CaRotation(
        goes_on=flag(swarm, "RootRotationInProgress"),
        nodes=len(entries),
        behind=tuple(text(one, "Description", "Hostname") or text(one, "ID") for one in behind),
        down=tuple(member(one) for one in entries if text(one, "Status", "State") != "ready"),
    )


def _room(of: Any) -> Room:
    here = mapping(of, "Description")
    return Room(
        member(of),
        os=text(here, "Platform", "OS"),
        architecture=text(here, "Platform", "Architecture"),
        cpus=number(here, "Resources", "NanoCPUs"),
        memory=number(here, "Resources", "MemoryBytes"),
        engine_labels=labels(here, "Engine", "Labels"),
    )


def _placed(services: Mapping[str, Any], tasks: Any) -> Iterator[Placed]:
    """The tasks of services. A task without a service, such as a network's, is not moved by a drain."""
    for task in tasks:
        service = services.get(text(task, "ServiceID"))
        if service is not None and (node_id := text(task, "NodeID")):
            yield Placed(node_id, _needs(service, task))


def _needs(service: Any, task: Any) -> Needs:
    placement, reserved = mapping(task, "Spec", "Placement"), mapping(task, "Spec", "Resources", "Reservations")
    published = [mapping({"port": one}, "port") for one in sequence(service, "Spec", "EndpointSpec", "Ports")]
    own = (port for port in published if text(port, "PublishMode") == "host" and number(port, "PublishedPort"))
    mode = mapping(service, "Spec", "Mode")
    return Needs(
        service=text(service, "Spec", "Name"),
        everywhere="Global" in mode or "GlobalJob" in mode,
        constraints=tuple(text({"one": one}, "one") for one in sequence(placement, "Constraints")),
        platforms=tuple((text(one, "OS"), text(one, "Architecture")) for one in sequence(placement, "Platforms")),
        most_per_node=number(placement, "MaxReplicas"),
        ports=frozenset(f"{number(port, 'PublishedPort')}/{text(port, 'Protocol') or 'tcp'}" for port in own),
        cpus=number(reserved, "NanoCPUs"),
        memory=number(reserved, "MemoryBytes"),
    )
