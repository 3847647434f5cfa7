"""The state that the steps of a plan share: the consented plan, the last survey, and the open connections."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from threading import Lock

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Choice
from recovery.errors import Refused
from recovery.node.engine import SECONDS as ENGINE_SECONDS
from recovery.node.ssh import Shell
from recovery.planning.address_changes import since_copied
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import Diagnosis, Kind, diagnose
from recovery.planning.plan import Plan, Refusal, Source
from recovery.planning.steps import Action, Step
from recovery.planning.survivors import rank
from recovery.progress import Say
from recovery.survey import survivors
from recovery.survey.nodes import ENGINE_SECONDS as SURVEY_SECONDS
from recovery.survey.nodes import ask, stable_survey
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Reach, Survey
from recovery.swarm.survivor import Survivor

PLAN_AGAIN = "make a new plan: pulumi preview"
"""The remedy if the cluster is no longer as the consented plan was made for."""


class Run:
    """One operator's run through the steps of one plan, one phase after the other."""

    known: str | None = None
    """The ID of this cluster's swarm, if the phase knows it."""
    copied = True
    """Whether S3 holds copies of this cluster. The phase for the quorum checks it."""
    dropped_labels: tuple[str, ...] = ()
    """The labels that the settings no longer give to the node of this phase."""

    def __init__(self, cluster: Cluster, consented: Plan, say: Say) -> None:
        self.cluster, self.consented, self.say = cluster, consented, say
        self.settings = cluster.settings
        self.done: set[tuple[Action, str]] = set()
        """The steps that this phase has taken."""
        self.joined: dict[str, str] = {}
        """The node ID of each node that this phase has joined, by the node's name."""
        self._connecting = Lock()
        self._ranking: tuple[Survey | None, tuple[Survivor, ...]] = (None, ())

    @cached_property
    def catalog(self) -> Catalog:
        """The copies, listed at the first use. Raises: StoreError."""
        return self.cluster.catalog()

    @contextmanager
    def phase(self, doing: str) -> Iterator[None]:
        """Hold the cluster's lease and survey the managers. Connections are open until the phase ends.

        Raises: Refused if another operator holds the lease; StoreError; HostError; SettingError.
        """
        with self.cluster.hold(doing, say=self.say), ExitStack() as self._open:
            self._shells: dict[str, Shell] = {}
            self.done, self.joined = set(), {}
            self.look()
            yield

    def shell(self, node: Node) -> Shell:
        """The open connection to a node. Raises: TransportError."""
        with self._connecting:
            shell = self._shells.get(node.name)
        if shell is None:
            shell = self._open.enter_context(self.cluster.shell(node))
            with self._connecting:
                self._shells[node.name] = shell
        return shell

    def look(self) -> None:
        """Survey every manager again, after a running election has ended."""
        self.survey = stable_survey(self.cluster, nodes=self.settings.managers)

    def ask(self, node: Node, *, brisk: bool = False) -> NodeReport:
        """Ask one node again, and replace its report in the survey. Raises: TransportError.

        An engine whose swarm has just changed may search for its old leader before it answers. With ``brisk``, the engine
        has only the time of a survey.
        """
        shell = self.shell(node)
        seconds = SURVEY_SECONDS if brisk else ENGINE_SECONDS
        report = ask(shell, seconds=seconds, whole=False)
        others = {one.node.name: one for one in self.survey.reports} | {node.name: report}
        reports = tuple(others[one.name] for one in self.settings.nodes if one.name in others)
        unasked = tuple(one for one in self.survey.unasked if one.name != node.name)
        self.survey = replace(self.survey, reports=reports, unasked=unasked)
        return report

    def leader(self, *, besides: str = "") -> NodeReport:
        """The report of a manager with a leader: the leader's own, or another manager's if the leader is the node ``besides``."""
        others = [report for report in self.survey.managers if report.led and report.node.name != besides]
        leader = self.require_leader("looking for the swarm's leader")
        return next(iter(others), leader) if leader.node.name == besides else leader

    def require_leader(self, doing: str) -> NodeReport:
        """The report of a manager with a leader. Raises: Refused if none answers."""
        if self.survey.leader is None:
            raise Refused(
                doing,
                "no manager with a leader answers",
                remedy="find out which managers are down: requorum status",
                code="no-leader",
            )
        return self.survey.leader

    def diagnose(self) -> Diagnosis:
        """The diagnosis of the last survey."""
        return diagnose(self.survey, self.known, cluster=self.settings.cluster, copies=self.copied)

    def plan_anew(self, diagnosis: Diagnosis) -> Plan:
        """The plan for the last survey. It restores or forces only from the copy or survivor in the consented plan.

        Raises: TransportError, DamagedCopy, StoreError.
        """
        kind, consented = diagnosis.kind, self.consented
        if (kind is Kind.ALL_LOST and not consented.copy) or (kind is Kind.QUORUM_LOST and not consented.survivor):
            why = f"the diagnosis is {kind}, and this run has no plan for {kind}"
            return Plan(kind, refusal=Refusal(why, PLAN_AGAIN, code="plan-outdated"))
        source = self._source() if kind is Kind.ALL_LOST else Source()
        ranking = self._ranked() if kind is Kind.QUORUM_LOST else ()
        return make_plan(diagnosis, self.settings, source, ranking, datetime.now(UTC))

    def _source(self) -> Source:
        copy = self.catalog.named(str(self.consented.copy))
        choice = Choice(copy, self.catalog.manifest(copy), self.catalog.owner(copy))
        newest, seed = self.catalog.newest_of_machines, self.survey.of(choice.manager)
        moves = since_copied(self.settings.nodes, newest, choice.manifest.cluster_id, choice.manifest)
        engine = seed.engine if seed.reach is Reach.ANSWERS else ""
        return Source(choice, engine=engine, moved=moves)

    def _ranked(self) -> tuple[Survivor, ...]:
        """The survivors of the last survey, the best first. It reads their logs once for each survey."""
        survey, ranking = self._ranking
        if survey is not self.survey:
            ranking = rank(survivors.read_survivors(self.cluster, self.survey))
            self._ranking = self.survey, ranking
        return ranking


def planned(plan: Plan, step: Step) -> Step | None:
    """The step of a plan that does the same to the same node; None if the plan has none."""
    return next((one for one in plan.steps if one.action is step.action and one.node == step.node), None)
