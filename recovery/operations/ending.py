"""What happens before `pulumi destroy` ends a swarm: it is heard, what will be lost is said, and last copies are taken."""

from functools import cache

from recovery.cluster import Cluster
from recovery.errors import Refused, RequorumError
from recovery.node.engine import Engine
from recovery.operations import lifecycle
from recovery.progress import Say
from recovery.survey.nodes import stable_survey
from recovery.swarm.machines import Node
from recovery.swarm.model import Reach, Survey

GONE = (Reach.ANSWERS, Reach.ABSENT, Reach.NAMED)
"""A node that answers can leave; one that is known to be lost runs nothing any more."""
VOLUMES = ("docker", "volume", "ls", "--quiet")


def prepare(cluster: Cluster, *, say: Say) -> None:
    """Check that the whole swarm can be ended, say what will be lost, and copy every manager for the last time.

    Without a leader there is nothing to copy, and ``say`` reports that.
    Raises: Refused if a node does not answer, because it would go on running; as `lifecycle.fresh_copies`.
    """
    survey = stable_survey(cluster)
    _require_heard(cluster, survey)
    if not any(report.in_swarm for report in survey.reports):
        return
    for line in losses(cluster, survey):
        say(line)
    if survey.leader is None:
        say("no manager has a leader, so Requorum takes no last copies")
        return
    empty = [report.node.name for report in survey.managers if report.known_lost]
    lifecycle.fresh_copies(cluster, empty=empty, say=say)


@cache
def require_heard(cluster: Cluster) -> None:
    """Check once in this process that the whole swarm can be ended. Raises: Refused, as `prepare`."""
    _require_heard(cluster, stable_survey(cluster))


def losses(cluster: Cluster, survey: Survey) -> tuple[str, ...]:
    """What ends with the swarm, and what stays: its services, and the volumes on its nodes, by name.

    Volumes of machines that Pulumi made end with them.
    """
    services = _services(cluster, survey)
    volumes_end = "loses these volumes" if cluster.settings.hosts.made else "keeps these volumes"
    volumes = {r.node.name: _volumes(cluster, r.node) for r in survey.reports if r.reach is Reach.ANSWERS}
    return (
        f"the swarm ends, and with it these services: {', '.join(services) or 'none'}",
        *(f"{name} {volumes_end}: {', '.join(names)}" for name, names in volumes.items() if names),
    )


def _require_heard(cluster: Cluster, survey: Survey) -> None:
    """Raises: Refused if a node of machines that Requorum did not make may be alive and cannot be told to leave."""
    if cluster.settings.hosts.made:
        return
    silent = [report.node.name for report in survey.reports if report.reach not in GONE]
    if not silent:
        return
    fences = "; ".join(f"requorum fence {name} --lost" for name in silent)
    raise Refused(
        f"ending the swarm of cluster {cluster.settings.cluster}",
        f"Requorum cannot make {', '.join(silent)} leave the swarm, so a part of the swarm would continue to run",
        remedy=f"bring {', '.join(silent)} back, then run the same command again. If a machine is lost, confirm that: {fences}. "
        "To let go of the swarm and leave it running, set requorum:protect to true, run pulumi up, then pulumi destroy",
        code="node-unreachable",
    )


def _services(cluster: Cluster, survey: Survey) -> tuple[str, ...]:
    if survey.leader is None:
        return ()
    with cluster.shell(survey.leader.node) as shell:
        return tuple(sorted(service.name for service in Engine(shell).services()))


def _volumes(cluster: Cluster, node: Node) -> tuple[str, ...]:
    try:
        with cluster.shell(node) as shell:
            return tuple(shell.run(VOLUMES, seconds=15, check=False).stdout.decode(errors="replace").split())
    except RequorumError:
        return ()
