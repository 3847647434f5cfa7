"""Waits for services of the swarm, through a manager that is alive now."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep

from recovery.cluster import Cluster
from recovery.errors import ProofFailed, Refused
from recovery.node.engine import Engine
from recovery.planning.diagnosis import WITH_LEADER, diagnose
from recovery.planning.rollouts import Rollout, others, rollout, unsettled
from recovery.progress import Say
from recovery.survey.nodes import stable_survey
from recovery.swarm.machines import Node
from recovery.swarm.workload import Service

SECONDS = 300.0
"""How long the swarm may take for the next task of a service, beside the delays of its own update settings."""
PAUSE = 1.0
CORRECT = "correct requorum:workload.services.SERVICE in the stack file, then run: pulumi up"
TWICE = 2
"""The updater of a manager may not have begun at the first look."""


def manager(cluster: Cluster, doing: str, cluster_id: str) -> Node:
    """The leader of the swarm with this ID, as of now. Raises: Refused if no manager knows one."""
    settings = cluster.settings
    seen = stable_survey(cluster, nodes=settings.managers)
    kind = diagnose(seen, cluster_id, cluster=settings.cluster, copies=True).kind
    if seen.leader is None or kind not in WITH_LEADER:
        raise Refused(
            doing,
            f"the swarm has no leader that answers (it is {kind})",
            remedy="find out what was lost, and what to run: requorum status",
            code="no-leader",
        )
    return seen.leader.node


@dataclass(frozen=True)
class Looked:
    """The workload as the swarm has it, by the names of services."""

    unsettled: tuple[str, ...]
    """What an update should wait for or tell."""
    begun: Mapping[str, str]
    """When the last update of each service began."""


def look(cluster: Cluster, cluster_id: str, ids: Mapping[str, str]) -> Looked:
    """How the services stand, without waiting. Raises: Refused, TransportError, EngineError."""
    with leading(cluster, "looking at the services", cluster_id) as engine:
        found = engine.services()
    return Looked(unsettled(found, ids), _begun(found, ids))


def await_defined(
    cluster: Cluster,
    cluster_id: str,
    ids: Mapping[str, str],
    *,
    known: Mapping[str, str],
    restored: bool,
    say: Say,
) -> Mapping[str, str]:
    """Wait until the services of the stack file are as defined; returns when the update of each began.

    If the swarm was ``restored``, tell which services it has beside them: some may have been removed after the copy was taken.

    Raises: as `settle`; Refused, TransportError, EngineError.
    """
    with leading(cluster, "waiting for the services", cluster_id) as engine:
        settle(engine, ids, known=known, remedy=CORRECT, say=say)
        found = engine.services()
    if restored and (beside := others(found, ids)):
        say(f"the swarm also has services that the stack file does not name: {', '.join(beside)}")
        say("if one was removed after the copy was taken, remove it again, on a manager: docker service rm SERVICE")
    return _begun(found, ids)


def _begun(services: Sequence[Service], ids: Mapping[str, str]) -> Mapping[str, str]:
    began = {service.service_id: service.begun for service in services}
    return {name: began[one] for name, one in ids.items() if one in began}


@contextmanager
def leading(cluster: Cluster, doing: str, cluster_id: str) -> Iterator[Engine]:
    """The engine of the leader. Raises: as `manager`."""
    with cluster.shell(manager(cluster, doing, cluster_id)) as shell:
        yield Engine(shell)


def settle(engine: Engine, ids: Mapping[str, str], *, known: Mapping[str, str], remedy: str, say: Say) -> None:
    """Wait until the services are as defined, and tell each task. ``ids`` are by name; ``known`` is when updates began that were told before.

    ``remedy`` says what to do about the service SERVICE, which fails.

    Raises: ProofFailed if the swarm pauses an update, rolls it back, or gets no further.
    """
    told: dict[str, str] = {}
    end, seen = monotonic() + SECONDS, 0
    while seen < TWICE:
        found = _rollouts(engine, ids)
        for name, one in found.items():
            if why := one.failure(known.get(name)):
                raise _failed(engine, name, ids[name], why, remedy)
            if told.get(name) != one.line:
                told[name] = one.line
                end = max(end, monotonic() + SECONDS + one.longest_wait)
                say(one.line)
        late = [one for one in found.values() if not one.settled]
        if late and monotonic() > end:
            name, why = (
                late[0].name,
                f"{late[0].line}, and for {SECONDS + late[0].longest_wait:.0f} s no more than that",
            )
            raise _failed(engine, name, ids[name], why, remedy)
        seen = 0 if late else seen + 1
        sleep(PAUSE)


def _rollouts(engine: Engine, ids: Mapping[str, str]) -> Mapping[str, Rollout]:
    """How far each service is. Raises: ProofFailed for one that the swarm does not have."""
    services, tasks = {service.service_id: service for service in engine.services()}, engine.tasks()
    for name, one in sorted(ids.items()):
        if one not in services:
            raise ProofFailed(
                f"waiting for {name}",
                "the swarm does not have the service: it was removed, or created after the copy that the swarm was restored from",
                remedy="create it: pulumi up",
                code="service-gone",
            )
    return {name: rollout(services[one], tasks) for name, one in sorted(ids.items())}


def _failed(engine: Engine, name: str, service_id: str, why: str, remedy: str) -> ProofFailed:
    fault = engine.last_fault(service_id)
    because = f". Its last task that failed: {fault}" if fault else ""
    return ProofFailed(
        f"updating service {name}", why + because, remedy=remedy.replace("SERVICE", name), code="service-update-failed"
    )
