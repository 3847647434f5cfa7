"""The look before every change: survey, diagnosis and plan, made before the first effect."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from recovery.copies.catalog import Catalog, known_id
from recovery.copies.choice import Search, newest_after, newest_good, why_foreign
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.errors import Refused
from recovery.node.shell import DATA_ROOT
from recovery.operations import consent, reports
from recovery.planning import address_changes
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import NO_QUORUM, Diagnosis, Kind, access_fault, diagnose
from recovery.planning.plan import Plan, Source
from recovery.planning.survivors import copy_ahead_of, rank
from recovery.settings import Settings
from recovery.steps import unlock
from recovery.survey import survivors, unknown_managers
from recovery.survey.addresses import require_vacated
from recovery.survey.nodes import stable_survey
from recovery.swarm.model import Reach, Survey, Survivor


@dataclass(frozen=True)
class Assessment:
    """What is, what is wrong with it, and what would be done."""

    survey: Survey
    diagnosis: Diagnosis
    plan: Plan

    def require_safe(self, settings: Settings) -> None:
        """Refuse what must not proceed. Raises: Refused, with the command to run instead."""
        fault = access_fault(self.survey)
        if fault and not (self.diagnosis.kind is Kind.ALL_LOST and fault.node.role == "worker"):
            remedies = {
                Reach.REFUSED: f"start sshd on {fault.node.dial}, or correct requorum:ssh.port",
                Reach.DENIED: "correct requorum:ssh.user or requorum:ssh.privateKeyFile, or authorize the key there",
                Reach.WRONG_KEY: f"make sure which machine answers at {fault.node.dial}, then pin its key in {settings.ssh.known_hosts_file}",
            }
            doing = f"connecting to {settings.ssh.user}@{fault.node.dial} by SSH"
            raise Refused(doing, f"{fault.reach}: {fault.detail}", remedy=remedies[fault.reach], node=fault.node.name)
        if self.plan.refusal:
            doing = f"preparing changes to cluster {settings.cluster}"
            steps = "".join(f"\n  {line}" for line in self.plan.lines)
            why = f"{self.plan.refusal.why}\n{self.diagnosis.text}{steps}"
            raise Refused(doing, why, remedy=self.plan.refusal.remedy)
        moved = next((report for report in self.survey.managers if report.data_root), None)
        well = self.diagnosis.kind in (Kind.HEALTHY, Kind.ABSENT)  # where something is to be recovered, that goes on
        if moved and well:
            root = moved.data_root
            why = f"it keeps its data in {root} (DockerRootDir), and what survives a lost quorum is looked for in {DATA_ROOT}"
            remedy = f"there: ln -s {root} {DATA_ROOT}, what lies at that moved aside first; userns-remap has to be done without"
            raise Refused("looking at its Docker engine", why, remedy=remedy, node=moved.node.name)
        unknown = [r.node for r in self.survey.reports if r.reach in (Reach.SILENT, Reach.NAMED)]
        if self.diagnosis.kind is Kind.ABSENT and unknown:
            names = ", ".join(node.name for node in unknown)
            raise Refused(
                f"preparing cluster {settings.cluster}",
                f"silent: {names}",
                remedy="start these machines, or correct their addresses",
            )


def assess(settings: Settings, *, now: datetime | None = None) -> Assessment:
    """Ask every node and S3, and decide.

    Raises: StoreError, HostError, SettingError; Refused when copies of several swarms lie under one name.
    """
    catalog = Catalog(settings)
    known = known_id(settings, catalog)
    seen = stable_survey(settings)
    diagnosis = diagnose(seen, known, cluster=settings.cluster, copies=bool(catalog.copies))
    search, cas = Search(None, ()), seen.cas(known)
    left: tuple[Survivor, ...] = ()
    ahead: Copy | None = None
    ours = {
        copy: manifest for copy, manifest in catalog.newest_manifests().items() if not why_foreign(manifest, known, cas)
    }
    if diagnosis.kind is Kind.ALL_LOST:
        escrow = Escrow(settings, catalog.store)
        there = [node.name for node in settings.managers if node.name not in diagnosis.away]
        with newest_good(catalog, escrow, there, known, cas, choice=settings.copy_from) as search:
            pass
    elif diagnosis.kind is Kind.QUORUM_LOST:
        left = rank(survivors.read_survivors(settings, seen))
        if left and not seen.of(left[0].name).placed:
            ahead = copy_ahead_of(left[0], ours)
    moved = address_changes.since_copied(
        settings.managers, catalog.newest_manifests(), known, search.choice.manifest if search.choice else None
    )
    address_changes.require_allowed(settings, moved, seen)
    require_vacated(settings, moved, known)
    if diagnosis.kind in (Kind.ALL_LOST, Kind.QUORUM_LOST):
        unknown_managers.require_none(settings, seen)
    for name in diagnosis.locked if not left else [survivor.name for survivor in left[:1] if survivor.locked]:
        unlock.require_key(settings, settings.node(name))
    spent = consent.is_spent(settings, catalog.store)
    diagnosis = replace(diagnosis, warnings=diagnosis.warnings + catalog.notes)
    engine = seen.of(search.choice.manifest.manager).engine if search.choice else ""
    proven = next(iter(reports.names(settings)), "") if diagnosis.kind in NO_QUORUM else ""
    newer = newest_after(search.choice, ours) if search.choice else None
    source = Source(search.choice, search.rejected, newer, cas, engine, moved, ahead, proven)
    plan = make_plan(diagnosis, settings, source, left, now or datetime.now(UTC), spent=spent)
    return Assessment(seen, diagnosis, plan)
