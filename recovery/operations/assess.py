"""Survey, diagnosis and plan: what Requorum finds out and decides before it changes anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.choice import Search, newest, newest_after, newest_good, why_foreign
from recovery.copies.copy import Choice, Copy
from recovery.copies.escrow import Escrow
from recovery.copies.latest import may_be_newest
from recovery.copies.manifest import Manifest
from recovery.copies.swarm_id import known_id
from recovery.errors import Refused
from recovery.operations import agents, consent, readiness, reports, unfinished
from recovery.planning import access, address_changes, changes, founding, votes
from recovery.planning.changes import Changes
from recovery.planning.conditions import Condition
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import NO_QUORUM, WITH_LEADER, Diagnosis, Kind, diagnose
from recovery.planning.guidance import Guidance, guide
from recovery.planning.plan import Plan, Source
from recovery.planning.readiness import completed
from recovery.planning.sources import unlisted
from recovery.planning.survivors import can_be_ahead, copy_ahead_of, rank
from recovery.planning.trust import require_agreement, trusted_cas
from recovery.planning.unnamed import unnamed
from recovery.settings import Settings
from recovery.steps import unlock
from recovery.survey import survivors, unknown_managers
from recovery.survey.addresses import require_vacated
from recovery.survey.nodes import stable_survey
from recovery.swarm.engine_kind import INSTALL_ENGINE
from recovery.swarm.engine_version import FIRST_WITH_IPV6, cannot_carry
from recovery.swarm.model import Reach, Survey
from recovery.swarm.moved import AddressChange
from recovery.swarm.peers import told_managers
from recovery.swarm.survivor import Survivor

UNCHANGED = "Nothing was changed"


@dataclass(frozen=True)
class Assessment:
    """The state of the cluster, what is wrong with it, and what Requorum would do."""

    survey: Survey
    diagnosis: Diagnosis
    plan: Plan
    changes: Changes = field(default_factory=Changes)
    """What an update changes beside the plan's steps."""
    moved: tuple[AddressChange, ...] = ()
    """The managers that have another address than in their newest copy."""
    unfinished: datetime | None = None
    """When the run began that no report covers; None if there is none."""
    conditions: tuple[Condition, ...] = ()
    """The conditions of a recovery from here, if the swarm has a leader."""
    copied: datetime | None = None
    """When the newest copy was taken of a swarm with a leader; None if there is none."""

    def guidance(self, settings: Settings, refused: Refused | None = None) -> Guidance:
        """What is wrong, and what to run next. ``refused`` is why an update would refuse to begin."""
        changed = self.changes.alters
        found = guide(settings, self.survey, self.diagnosis, self.plan, changed=changed, unfinished=self.unfinished)
        found = completed(found, self.diagnosis.kind, self.conditions)
        return replace(found, command=refused.remedy) if refused else found

    @property
    def lines(self) -> tuple[str, ...]:
        """The plan and the other changes, as preview shows them."""
        of_plan = (f"this is plan {self.plan.id}",) if self.plan.id else ()
        return self.plan.lines + of_plan + self.changes.lines

    def shown(self, settings: Settings) -> tuple[str, ...]:
        """The state and the plan, a line each, without the next command: an error may follow, which has its own."""
        guidance = self.guidance(settings)
        evidence = (line for line in self.diagnosis.evidence if line not in guidance.sentence)
        return (
            f"cluster {settings.cluster}: {guidance.state}",
            *guidance.text,
            *(evidence if guidance.meaning else ()),
            *self.lines,
        )

    def require_safe(self, settings: Settings) -> None:
        """Refuse a change that is not safe now. Raises: Refused, with the command to run instead.

        `shown` tells the state and the plan.
        """
        if faults := access.in_the_way(self.survey, self.diagnosis):
            raise access.locked_out(faults, settings.ssh)
        if refusal := self.plan.refusal:
            doing = f"preparing changes to cluster {settings.cluster}"
            remedy = self.guidance(settings).command or refusal.remedy
            raise Refused(doing, f"{refusal.why}. {UNCHANGED}", remedy=remedy, code=refusal.code)
        founding.require_same(settings, self.survey)
        votes.require_safe(settings, self.survey)
        strange = next((report for report in self.survey.reports if report.unsupported), None)
        well = self.diagnosis.kind in (Kind.HEALTHY, Kind.ABSENT)  # a recovery goes on in spite of it
        if strange and well:
            raise Refused(
                "checking its Docker engine",
                f"it is {strange.unsupported}, which Requorum can neither copy nor restore",
                remedy=INSTALL_ENGINE,
                node=strange.node.name,
                code="engine-unsupported",
            )
        old = next((r for r in self.survey.reports if cannot_carry(r.engine, r.node.data_path)), None)
        if old and well and not settings.adopted:
            raise Refused(
                "checking its Docker engine",
                f"engine {old.engine} carries no overlay traffic over IPv6, so services on other nodes would not be reached "
                f"from {old.node.data_path}",
                remedy=f"on the node, install Docker Engine {FIRST_WITH_IPV6} or newer",
                node=old.node.name,
                code="engine-without-ipv6",
            )
        unknown = [r.node for r in self.survey.reports if r.reach in (Reach.SILENT, Reach.NAMED)]
        if self.diagnosis.kind is Kind.ABSENT and unknown:
            raise Refused(
                f"creating cluster {settings.cluster}",
                f"these machines do not answer: {', '.join(node.name for node in unknown)}",
                remedy="start these machines, or correct their addresses",
                code="node-unreachable",
            )


def assess(cluster: Cluster, *, typed: bool = False, now: datetime | None = None) -> Assessment:
    """Ask every node and S3, and decide. ``typed`` says that a person gave `recover: true` for this run.

    Raises: StoreError, HostError, SettingError; Refused if S3 has copies of several swarms under the cluster's name.
    """
    settings, catalog = cluster.settings, cluster.catalog()
    seen = stable_survey(cluster)
    catalog.trust(seen.told_cas, told_managers(seen))
    known = known_id(settings, catalog)
    diagnosis = diagnose(seen, known, cluster=settings.cluster, copies=bool(catalog.copies))
    search, elsewhere, cas = Search(None, ()), None, trusted_cas(settings, seen, known)
    left: tuple[Survivor, ...] = ()
    near: dict[Copy, Manifest] = {}
    ours = {
        copy: manifest for copy, manifest in catalog.newest_manifests().items() if not why_foreign(manifest, known, cas)
    }
    if diagnosis.kind is Kind.ALL_LOST:
        require_agreement(settings, seen, known)
        search, elsewhere = _best_copy(settings, catalog, diagnosis, known, cas)
    elif diagnosis.kind is Kind.QUORUM_LOST:
        left = rank(survivors.read_survivors(cluster, seen))
        near = may_be_newest(catalog, lambda one: can_be_ahead(one) and not why_foreign(one, known, cas))
    moved = address_changes.since_copied(
        settings.nodes,
        catalog.newest_of_machines,
        known,
        search.choice.manifest if search.choice else None,
        seen.told,
    )
    moved = address_changes.without_replaced(moved, seen)
    address_changes.require_allowed(settings, moved, seen)
    require_vacated(cluster, moved, known)
    off = _unnamed(cluster, seen, ours, moved) if diagnosis.kind in (Kind.ALL_LOST, Kind.QUORUM_LOST) else ()
    for name in diagnosis.locked if not left else [survivor.name for survivor in left[:1] if survivor.locked]:
        unlock.require_key(cluster, settings.node(name))
    spent = consent.is_spent(cluster, catalog.store)
    diagnosis = replace(diagnosis, warnings=diagnosis.warnings + catalog.notes)
    engine = seen.of(search.choice.manager).engine if search.choice else ""
    proven = reports.proofs(cluster, catalog.store) if diagnosis.kind in NO_QUORUM else ""
    ahead = copy_ahead_of(left[0], near) if left and not seen.of(left[0].name).placed else None
    newer = newest_after(search.choice, ours) if search.choice else newest(ours | near) if left else None
    joined = unlisted(seen, search.choice.manifest) if search.choice else ()
    source = Source(search.choice, search.rejected, newer, cas, engine, moved, ahead, proven, joined, elsewhere, off)
    plan = make_plan(diagnosis, settings, source, left, now or datetime.now(UTC), spent=spent, typed=typed)
    differs = changes.find(settings, seen, plan, agents.digests(settings))
    begun, last = unfinished.begun(cluster, catalog), newest(ours)
    led = seen.leader and diagnosis.kind in WITH_LEADER
    ready = readiness.conditions(cluster, seen, readiness.stock_of(cluster, catalog)) if led else ()
    return Assessment(seen, diagnosis, plan, differs, moved, begun, ready, last.copy.dated if last else None)


def _unnamed(
    cluster: Cluster, seen: Survey, copies: Mapping[Copy, Manifest], moved: tuple[AddressChange, ...]
) -> tuple[str, ...]:
    """The addresses of managers that no settings name and that may still run. Raises: as `unknown_managers.require_none`."""
    left = unknown_managers.require_none(cluster, seen, copies.values(), moved)
    return unnamed(seen, copies, moved, left)


def _best_copy(
    settings: Settings, catalog: Catalog, diagnosis: Diagnosis, known: str | None, cas: frozenset[str]
) -> tuple[Search, Choice | None]:
    """The copy to restore. If no machine stands for it: the search, and the newest good copy of the managers without one."""
    escrow, chosen = Escrow(settings, catalog.store), settings.copy_from
    there = [node.name for node in settings.managers if node.name not in diagnosis.away]
    with newest_good(catalog, escrow, there, known, cas, choice=chosen) as search:
        pass
    if search.choice or not diagnosis.away:
        return search, None
    with newest_good(catalog, escrow, diagnosis.away, known, cas, choice=chosen) as elsewhere:
        return replace(search, rejected=search.rejected + elsewhere.rejected), elsewhere.choice
