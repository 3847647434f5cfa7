"""Gathers what a recovery from here needs: copies, keys, identities, sites, agents, drills. Changes nothing."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.choice import why_foreign
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.copies.latest import recent
from recovery.copies.manifest import NO_REMEDY, Manifest
from recovery.errors import DamagedCopy, RequorumError, SettingError
from recovery.operations import agent_faults, agents, last_drills
from recovery.planning import readiness
from recovery.planning.conditions import Condition
from recovery.planning.readiness import AgentFault, Agents, Found, Opener, Stock
from recovery.planning.trust import as_known, trusted_cas
from recovery.s3.sealing import Identities
from recovery.settings import Settings
from recovery.swarm.model import Reach, Survey


def conditions(cluster: Cluster, survey: Survey, stock: Stock) -> tuple[Condition, ...]:
    """Every condition of a recovery from here. Asks the agents."""
    known = survey.leader.cluster_id if survey.leader else None
    cas = trusted_cas(cluster.settings, survey, known)
    ours = {
        name: [_usable(copy, _known(read, name, survey), known, cas) for copy, read in found]
        for name, found in stock.copies.items()
    }
    there = replace(stock, copies=ours)
    return readiness.judge(cluster.settings, survey, there, agents_of(cluster, survey), datetime.now(UTC))


def _known(found: Manifest | DamagedCopy, manager: str, survey: Survey) -> Manifest | DamagedCopy:
    return as_known(found, manager, survey) if isinstance(found, Manifest) else found


def _usable(copy: Copy, found: Manifest | DamagedCopy, known: str | None, cas: frozenset[str]) -> Found:
    """A copy with its manifest, or with the reason why no recovery of this swarm uses it."""
    if isinstance(found, Manifest) and (why := why_foreign(found, known, cas)):
        return copy, DamagedCopy(f"reading {copy.name}", why, remedy=NO_REMEDY, code="copy-forged")
    return copy, found


def stock_of(cluster: Cluster, catalog: Catalog) -> Stock:
    """What S3 has for a recovery, and what opens it here. An error of S3 is part of it."""
    settings = cluster.settings
    try:
        copies = recent(catalog)
        locked = {m.key_fingerprint or "" for found in copies.values() for _, m in found if isinstance(m, Manifest)} - {
            ""
        }
        first = {node.name: copy.dated for node in settings.managers if (copy := catalog.first(node.name))}
        keys = Escrow(settings, catalog.store).held(locked) if locked else {}
        return Stock(
            *openers(settings),
            copies=copies,
            further=sum(map(len, copies.values())) < sum(len(catalog.of(name)) for name in copies),
            first=first,
            drills=last_drills.last(cluster, catalog),
            keys=keys,
            skipped=catalog.skipped,
        )
    except RequorumError as error:
        return no_stock(settings, error)


def no_stock(settings: Settings, error: RequorumError) -> Stock:
    """What is known if S3 cannot be read."""
    return Stock(*openers(settings), error=error)


def agents_of(cluster: Cluster, survey: Survey) -> Agents:
    """What is wrong with each manager's agent; empty without agents. Nodes that did not answer the survey are not asked."""
    agent = cluster.settings.agent
    if agent is None:
        return {}
    there = [report.node for report in survey.managers if report.reach is Reach.ANSWERS]
    unseen = AgentFault("its node is not seen", "requorum doctor", known=False)
    found = {node.name: agent_faults.fault(one, watched=agent.on_change) for node, one in agents.look(cluster, there)}
    return {report.node.name: found.get(report.node.name, unseen) for report in survey.managers}


def openers(settings: Settings) -> tuple[Opener, Opener]:
    """The identity files of the copies and of the escrow, as they are on this machine."""
    return (
        opener(settings.backup.identity_file, "backup.identityFile"),
        opener(settings.escrow.identity_file, "escrow.identityFile"),
    )


def opener(file: Path | None, setting: str) -> Opener:
    """The identity file of a setting, as it is on this machine."""
    if file is None:
        return Opener(setting, fault=f"requorum:{setting} is not set")
    if not file.exists():
        return Opener(setting, str(file), f"{file} is not on this machine")
    try:
        return Opener(setting, str(file), public=Identities(file, setting=setting).recipients)
    except SettingError as error:
        return Opener(setting, str(file), error.why)
