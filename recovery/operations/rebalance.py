"""Spreads the tasks of replicated services over the nodes again, on request. Swarm never moves a running task by itself."""

from collections.abc import Callable, Sequence

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations.leading import leading
from recovery.operations.services import settle
from recovery.swarm.workload import Service


def chosen(services: Sequence[Service], names: Sequence[str]) -> tuple[Service, ...]:
    """The replicated services that have tasks; with ``names``, only the services of these names.

    Raises: Refused for a name without such a service.
    """
    able = {service.name: service for service in services if service.replicas}
    if wrong := [name for name in names if name not in able]:
        known = ", ".join(sorted(able)) or "none"
        raise Refused(
            "rebalancing services",
            f"the swarm has no replicated service with tasks named {', '.join(wrong)}",
            remedy=f"name one of its replicated services: {known}",
            code="no-such-service",
        )
    return tuple(able[name] for name in sorted(names or able))


def rebalance(
    cluster: Cluster, names: Sequence[str], *, agree: Callable[[Sequence[str]], None], say: Callable[[str], None]
) -> tuple[str, ...]:
    """Replace every task of the services, one service after the other; returns their names.

    ``agree`` is asked with the names before the first effect, and raises to decline.

    Raises: Refused; ProofFailed when a service's update fails or does not end; EngineError.
    """
    with leading(cluster, "rebalancing services", nodes=cluster.settings.managers) as (_, chief):
        services = chosen(chief.services(), names)
        if services:
            agree([service.name for service in services])
        for service in services:
            say(f"replacing the {service.replicas} tasks of {service.name}")
            chief.force_update(service.service_id)
            settle(
                chief,
                {service.name: service.service_id},
                known={service.name: service.begun},
                remedy="find out on a manager why its tasks do not start: docker service ps SERVICE",
                say=say,
            )
    return tuple(service.name for service in services)
