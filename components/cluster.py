"""A whole cluster: hosts, preparation, quorum, members, proof."""

from collections.abc import Mapping

import pulumi

from components import hooks, identity
from components.agent import Agent
from components.hosts.docker import Docker
from components.hosts.driver import Driver
from components.hosts.existing import Existing
from components.hosts.machines import Machines
from components.identity import Identities
from components.membership import Health, Member, Quorum
from components.node import Preparation
from components.progress import stop
from components.settings import provider
from components.update import Update, begin, close
from components.workload import Workload
from recovery.errors import RequorumError, SettingError
from recovery.operations.assess import Assessment
from recovery.settings import Settings
from recovery.survey.hosts import container_names
from recovery.swarm.model import Reach


class Cluster(pulumi.ComponentResource):
    """The swarm that the settings describe. The assessment's plan says what Pulumi builds, changes or recovers.

    If the settings say that the program makes the machines (``hosts.driver: program``), ``driver`` makes them. ``name`` is by
    default the cluster's. A program that has begun its ``update`` gives it.
    """

    cluster_id: pulumi.Output[str]
    health: pulumi.Output[str]
    leader: pulumi.Output[str]
    managers: dict[str, str]
    workers: dict[str, str]

    def __init__(
        self,
        name: str = "",
        driver: Driver | None = None,
        *,
        update: Update | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        begun = update or begin()
        super().__init__("requorum:index:Cluster", name or begun.cluster.settings.cluster, None, opts)
        try:
            self._declare(begun, driver)
        except RequorumError as error:
            stop(error)
        close(begun)

    def _declare(self, update: Update, given: Driver | None) -> None:
        cluster, assessment, settings = update.cluster, update.assessment, update.cluster.settings
        mine = pulumi.ResourceOptions(parent=self, providers=[provider(pulumi.ResourceOptions(parent=self))])
        empty = [r.node.name for r in assessment.survey.reports if r.known_lost and r.reach is Reach.ANSWERS]
        containers = container_names(settings) if settings.hosts.driver == "docker" else {}
        names = identity.of(settings, assessment.moved, containers)
        driver = _driver(settings, assessment, names, containers, given)
        made = Machines(cluster, driver, update.user_data, empty, mine)
        silent = frozenset(assessment.diagnosis.left_alone)
        ready = self._prepared(settings, assessment, names, made.identities, mine)
        told = mine.merge(pulumi.ResourceOptions(hooks=hooks.on_error(cluster)))
        quorum = Quorum(
            "quorum",
            settings,
            assessment.plan,
            assessment.changes.options,
            told.merge(pulumi.ResourceOptions(depends_on=[ready[manager.name] for manager in settings.managers])),
        )
        members = self._members(settings, assessment, names, made.identities, ready, quorum, told)
        proving = mine.merge(pulumi.ResourceOptions(hooks=hooks.before_proof(cluster)))
        health = Health("health", settings, quorum, members, assessment, proving)
        if settings.agent:  # after the proof: a recovery does not wait for them
            for node in settings.managers:
                options = pulumi.ResourceOptions(
                    depends_on=[health], ignore_changes=["*"] if node.name in silent else None
                )
                drift = assessment.changes.agents.get(node.name, ())
                Agent(node, settings, names, made.identities[node.name], drift, mine.merge(options))
        if settings.workload:
            Workload(settings, quorum, health, mine)
        self.cluster_id, self.health, self.leader = quorum.cluster_id, health.health, health.leader
        self.managers = {manager.name: str(manager.address) for manager in settings.managers}
        self.workers = {worker.name: str(worker.address) for worker in settings.workers}
        self.register_outputs(
            {
                "clusterId": self.cluster_id,
                "health": self.health,
                "leader": self.leader,
                "managers": self.managers,
                "workers": self.workers,
            }
        )

    def _prepared(
        self,
        settings: Settings,
        assessment: Assessment,
        names: Identities,
        identities: Mapping[str, pulumi.Input[str]],
        mine: pulumi.ResourceOptions,
    ) -> dict[str, Preparation]:
        """Each machine, prepared as it should be. Silent nodes are left alone."""
        wanted, now = assessment.changes.machines, assessment.survey.taken
        return {
            node.name: Preparation(
                node,
                names,
                identities[node.name],
                node.name in assessment.diagnosis.left_alone,
                wanted[node.name],
                now,
                mine,
            )
            for node in settings.nodes
        }

    def _members(
        self,
        settings: Settings,
        assessment: Assessment,
        names: Identities,
        identities: Mapping[str, pulumi.Input[str]],
        ready: Mapping[str, Preparation],
        quorum: Quorum,
        mine: pulumi.ResourceOptions,
    ) -> dict[str, Member]:
        """Join managers one after the other, because each join changes the quorum, and then workers in parallel.

        Stranded workers join in parallel with the managers, because a new leader gives their tasks to other nodes. Silent
        nodes do not change. Workers with a vote lose it at last, one after the other.
        """
        members: dict[str, Member] = {}
        diagnosis = assessment.diagnosis
        before: list[pulumi.Resource] = [quorum]
        voting = diagnosis.stand_ins
        for node in sorted(settings.nodes, key=lambda node: voting.index(node.name) if node.name in voting else -1):
            awaited = [quorum] if node.name in diagnosis.stranded else before
            options = mine.merge(
                pulumi.ResourceOptions(
                    depends_on=[*awaited, ready[node.name]],
                    ignore_changes=["*"] if node.name in diagnosis.left_alone else None,
                )
            )
            generation = quorum.generation if node.role == "manager" else None
            managers = None if node.role == "manager" else [str(manager.address) for manager in settings.managers]
            changes = assessment.changes.entries.get(node.name, ())
            members[node.name] = Member(
                node, names, assessment.plan, changes, identities[node.name], generation, managers, options
            )
            if node.role == "manager" or node.name in voting:
                before = [quorum, members[node.name]]
        return members


def _driver(
    settings: Settings,
    assessment: Assessment,
    names: Identities,
    containers: Mapping[str, str],
    given: Driver | None,
) -> Driver:
    """The driver that the settings name. Raises: SettingError if that is the program's, and it gives none, or the other way round."""
    if (settings.hosts.driver == "program") is not bool(given):
        why = (
            "program, and this program gives Cluster no driver"
            if given is None
            else f"{settings.hosts.driver}, and this program gives Cluster a driver"
        )
        raise SettingError(
            "hosts.driver",
            f"is {why}",
            remedy="run the program that makes the machines"
            if given is None
            else "set requorum:hosts.driver to program",
            code="setting-invalid",
        )
    if given:
        return given
    if settings.hosts.driver == "docker":
        return Docker(settings, names, containers)
    return Existing(settings.cluster, assessment.survey)
