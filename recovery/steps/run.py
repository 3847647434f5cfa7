"""What the steps of a plan work with: the plan that was consented to, the last survey, and the open connections."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from threading import Lock

from recovery.copies.catalog import Catalog
from recovery.copies.copy import Choice
from recovery.copies.escrow import Escrow
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
from recovery.s3 import cluster_lease
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.survey import survivors
from recovery.survey.nodes import ask, stable_survey
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Reach, Survey
from recovery.swarm.survivor import Survivor


class Run:
    """One operator's run through the steps of one plan. It is used for one phase after the other."""

    known: str | None = None
    """The ID of this cluster's swarm, as far as the phase knows it."""
    copied = True
    """Whether S3 holds copies of this cluster, as far as the phase knows."""
    dropped_labels: tuple[str, ...] = ()
    """The labels that the settings no longer give to the node of this phase."""

    def __init__(self, settings: Settings, consented: Plan, say: Say) -> None:
        self.settings, self.consented, self.say = settings, consented, say
        self.store = Store(settings.backup.sites)
        self.done: set[tuple[Action, str]] = set()
        """The steps that this phase has taken."""
        self.joined: dict[str, str] = {}
        """The node ID of each node that this phase has joined, by the node's name."""
        self._connecting = Lock()
        self._ranking: tuple[Survey | None, tuple[Survivor, ...]] = (None, ())

    @cached_property
    def catalog(self) -> Catalog:
        """The copies, listed when they are first needed. Raises: StoreError."""
        return Catalog(self.settings, self.store)

    @cached_property
    def escrow(self) -> Escrow:
        """The unlock keys."""
        return Escrow(self.settings, self.store)

    @contextmanager
    def phase(self, doing: str) -> Iterator[None]:
        """Hold the cluster's lease and survey the managers. Connections are open until the phase ends.

        Raises: Refused if another operator holds the lease; StoreError; HostError; SettingError.
        """
        with cluster_lease.hold(self.store, self.settings.keys, doing, say=self.say), ExitStack() as self._open:
            self._shells: dict[str, Shell] = {}
            self.done, self.joined = set(), {}
            self.look()
            yield

    def shell(self, node: Node) -> Shell:
        """The open connection to a node. Raises: TransportError."""
        with self._connecting:
            known = self._shells.get(node.name)
        if known is None:
            known = self._open.enter_context(Shell(node, self.settings.ssh))
            with self._connecting:
                self._shells[node.name] = known
        return known

    def look(self) -> None:
        """Survey every manager anew, once a running election has ended."""
        self.survey = stable_survey(self.settings, nodes=self.settings.managers)

    def ask(self, node: Node, *, brisk: bool = False) -> NodeReport:
        """Ask one node again, and put its report in the place of its former one. Raises: TransportError.

        An engine whose swarm has just changed may search for its old leader before it answers. If ``brisk``, it has the
        time of a survey only.
        """
        shell = self.shell(node)
        report = ask(shell) if brisk else ask(shell, seconds=ENGINE_SECONDS)
        others = {one.node.name: one for one in self.survey.reports} | {node.name: report}
        reports = tuple(others[one.name] for one in self.settings.nodes if one.name in others)
        unasked = tuple(one for one in self.survey.unasked if one.name != node.name)
        self.survey = replace(self.survey, reports=reports, unasked=unasked)
        return report

    def leader(self, *, besides: str = "") -> NodeReport:
        """The report of a manager with a leader: the leader's own, unless that is the node ``besides`` and another has one."""
        led = [report for report in self.survey.managers if report.led and report.node.name != besides]
        leader = self.require_leader("looking for the swarm's leader")
        return next(iter(led), leader) if leader.node.name == besides else leader

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
        """The plan for the last survey. A swarm comes only from what the consented plan names.

        Raises: TransportError, DamagedCopy, StoreError.
        """
        kind, shown = diagnosis.kind, self.consented
        if (kind is Kind.ALL_LOST and not shown.copy) or (kind is Kind.QUORUM_LOST and not shown.survivor):
            why = f"{kind}, and this run has no plan for that"
            return Plan(kind, refusal=Refusal(why, "make a new plan: pulumi preview", code="plan-outdated"))
        source = self._source() if kind is Kind.ALL_LOST else Source()
        ranked = self._ranked() if kind is Kind.QUORUM_LOST else ()
        return make_plan(diagnosis, self.settings, source, ranked, datetime.now(UTC))

    def _source(self) -> Source:
        copy = self.catalog.named(str(self.consented.copy))
        choice = Choice(copy, self.catalog.manifest(copy))
        newest, seed = self.catalog.newest_manifests(), self.survey.of(choice.manifest.manager)
        moved = since_copied(self.settings.managers, newest, choice.manifest.cluster_id, choice.manifest)
        engine = seed.engine if seed.reach is Reach.ANSWERS else ""
        return Source(choice, engine=engine, moved=moved)

    def _ranked(self) -> tuple[Survivor, ...]:
        """The survivors of the last survey, the best first. Their logs are read once a survey."""
        survey, ranked = self._ranking
        if survey is not self.survey:
            ranked = rank(survivors.read_survivors(self.settings, self.survey))
            self._ranking = self.survey, ranked
        return ranked


def planned(plan: Plan, step: Step) -> Step | None:
    """The step of a plan that does the same to the same node; None if the plan has none."""
    return next((one for one in plan.steps if one.action is step.action and one.node == step.node), None)
