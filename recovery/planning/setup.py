"""What must be right before the swarm is created: one condition after the other. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from recovery.planning import access
from recovery.planning.conditions import Condition, State
from recovery.planning.packages import apt_packages
from recovery.planning.readiness import AgentFault, Opener, Stock, of_identity
from recovery.s3.capability import REACHABLE, Capabilities, Capability, ProbeResult
from recovery.swarm.model import ACCESS_FAULTS, ENTERED, NodeReport, Reach, Survey

if TYPE_CHECKING:
    from recovery.settings import Settings

SETTING = "backup."
"""How the name of a setting begins that asks a server for a feature."""
CHECK = "requorum check --setup"
PACKAGES = re.compile(r"apt-get install ([a-z0-9 -]+)")


@dataclass(frozen=True)
class SetUp:
    """What was found out before the swarm is created."""

    sites: Sequence[Capabilities]
    identity: Opener
    escrow: Opener
    unfit: Mapping[str, str]
    """What managers lack for their agents, by name."""
    trial: AgentFault | None = None
    """Why the agents' credentials do not work on the manager that tried them."""
    tried: str = ""
    """The manager that tried the agents' credentials. Empty if none could."""
    fence: bool = True
    """Whether this machine has the program of requorum:hosts.fence."""
    of_example: tuple[str, ...] = ()
    """The recipients of the example among those of the settings, by setting."""


def judge(settings: Settings, survey: Survey, found: SetUp) -> tuple[Condition, ...]:
    """Every condition of the set-up. A grave one that is not met stops the creation of the swarm."""
    return (
        _machines(settings, survey),
        _tools(settings, survey),
        _recipients(found),
        *_identities(settings, found),
        *(_offers(site) for site in found.sites),
        *_agents(settings, survey, found),
        *_fence(settings, found),
    )


def _machines(settings: Settings, survey: Survey) -> Condition:
    """Whether every machine answers, and none was prepared for another cluster."""
    name = "machines"
    for report in survey.reports:
        if report.reach in ACCESS_FAULTS:
            why = f"{report.node.name}: {report.reach}: {report.detail}"
            return Condition(name, State.FAILED, why, "", "machines not seen", access.command(report, settings.ssh))
    silent = [r.node for r in survey.reports if r.reach in (Reach.SILENT, Reach.NAMED, Reach.STOPPED)]
    if silent:
        remedy = f"start {', '.join(f'{node.name} ({node.address})' for node in silent)}, or correct the addresses"
        why = f"{', '.join(node.name for node in silent)} does not answer"
        return Condition(name, State.FAILED, why, "", "machines do not answer", remedy)
    others = {r.node.name: r.marked for r in survey.reports if r.marked not in ("", settings.cluster)}
    if others:
        marks = ", ".join(dict.fromkeys(others.values()))
        why = f"{', '.join(others)}: prepared for cluster {marks}. Is requorum:cluster ({settings.cluster}) misspelt?"
        remedy = f"set requorum:cluster to {marks}, if these machines belong to it"
        return Condition(name, State.FAILED, why, "", "machines of another cluster", remedy)
    absent = [r.node.name for r in survey.reports if r.reach is Reach.ABSENT]
    there = len(survey.reports) - len(absent)
    answer = f"{there} of {len(survey.reports)} answer"
    return Condition(name, State.OK, f"{answer}. An update makes {', '.join(absent)}" if absent else answer)


def _tools(settings: Settings, survey: Survey) -> Condition:
    """Whether every machine that answers has the tools. One command installs all that are missing."""
    name = "tools"
    lacks = {r.node.name: r.on_node.lacks for r in survey.reports if r.on_node and r.on_node.lacks}
    if lacks:
        why = "; ".join(f"{node} lacks {', '.join(tools)}" for node, tools in lacks.items())
        if settings.hosts.install:
            return Condition(name, State.OK, f"an update installs them: {why}")
        packages = apt_packages(tool for tools in lacks.values() for tool in tools)
        return Condition(name, State.FAILED, why, "", "tools missing", _install(settings, lacks, packages), grave=True)
    unseen = [r.node.name for r in survey.reports if r.on_node is None and r.reach in ENTERED]
    if unseen:
        return Condition(
            name, State.UNKNOWN, f"{', '.join(unseen)} is not seen", "", "tools unknown", "requorum doctor"
        )
    return Condition(name, State.OK, "no machine lacks any")


def _install(settings: Settings, names: Iterable[str], packages: Iterable[str]) -> str:
    """One command that installs packages on several nodes."""
    install = ["apt-get", "install", "-y", *sorted(packages)]
    nodes = [settings.node(name) for name in names]
    dials = " ".join(node.dial for node in nodes)
    commands = {settings.ssh.command(replace(node, ssh_address="$node"), *install) for node in nodes}
    if len(commands) == 1:
        return f"for node in {dials}; do {commands.pop()}; done"
    return "; ".join(settings.ssh.command(node, *install) for node in nodes)


def are_packages(faults: Iterable[str]) -> bool:
    """Whether all that managers lack for their agents are packages, which an update can install."""
    return all(map(PACKAGES.search, faults))


def _recipients(found: SetUp) -> Condition:
    """Whether somebody has the identities of the recipients: nobody has that of the example."""
    name = "recipients"
    if found.of_example:
        keys = " and ".join(f"requorum:{key}" for key in found.of_example)
        remedy = f"age-keygen -o FILE, and put the public key that it prints into {keys}"
        why = f"{keys} has the recipient of the example, whose identity you do not have"
        return Condition(name, State.FAILED, why, "", "recipient of the example", remedy, grave=True)
    return Condition(name, State.OK, "none is the example's")


def _identities(settings: Settings, found: SetUp) -> Iterator[Condition]:
    """Whether an identity here opens what will be sealed. One that is not here may be elsewhere, and stops nothing."""
    here = of_identity(settings, Stock(found.identity, found.escrow))
    yield replace(here, grave=here.grave and not found.identity.fault)
    if not settings.swarm.autolock:
        return
    name, key = "identity of the escrow", f"requorum:{found.escrow.setting}"
    whose = ", ".join(settings.escrow.recipients)
    remedy = f"set {key} to the file with the identity of {whose}, on this machine"
    if found.escrow.fault:
        why = f"{found.escrow.fault}, so nothing here opens an unlock key"
        yield Condition(name, State.FAILED, why, "", "no identity here", remedy, here=True)
    elif not found.escrow.public.intersection(settings.escrow.recipients):
        why = f"{found.escrow.file} opens nothing that is sealed to {whose}"
        yield Condition(name, State.FAILED, why, "", "wrong identity", remedy, grave=True, here=True)
    else:
        yield Condition(name, State.OK, f"{found.escrow.file} opens what is sealed to requorum:escrow.recipients")


def _offers(site: Capabilities) -> Condition:
    """Whether a site offers what the settings need. What a setting asks for, and the server lacks, is grave."""
    name = f"{site.site} site offers"
    lacks = [offer for offer in site.offers if offer.needed and offer.answer is not ProbeResult.YES]
    if not lacks:
        return Condition(name, State.OK, f"{site.where} has all that the settings need")
    wanted = [
        o
        for o in lacks
        if o.answer is not ProbeResult.UNKNOWN and (o.needed.startswith(SETTING) or o.what == REACHABLE)
    ]
    first = next(iter(wanted), lacks[0])
    unknown = all(offer.answer is ProbeResult.UNKNOWN for offer in lacks)
    why, remedy = "; ".join(map(_lack, lacks)), "requorum s3"
    if first.what == REACHABLE:
        why = f"{site.where} cannot be used: {first.detail}"
        remedy = f"correct requorum:backup{'' if site.site == 'main' else '.second'}, or start the server"
    elif wanted:
        remedy = f"remove {_setting(first.needed)}, or name a bucket that offers {first.what}"
    state = State.UNKNOWN if unknown else State.FAILED
    short = f"{site.site} site unknown" if unknown else f"{first.what} not offered"
    return Condition(name, state, why, "", short, remedy, grave=bool(wanted))


def _lack(offer: Capability) -> str:
    """A feature that the settings need and the server does not offer, in words."""
    detail = f" ({offer.detail})" if offer.detail else ""
    return f"{offer.what}, for {_setting(offer.needed)}: {offer.answer}{detail}"


def _setting(needed: str) -> str:
    return f"requorum:{needed}" if needed.startswith(SETTING) else needed


def _agents(settings: Settings, survey: Survey, found: SetUp) -> Iterator[Condition]:
    """Whether the managers have what agents need, and the agents' credentials work on one of them."""
    if settings.agent is None or not any(map(_answers, survey.managers)):
        return
    if found.unfit:
        why = "; ".join(f"{name}: {fault}" for name, fault in found.unfit.items())
        packages = {one for fault in found.unfit.values() for match in PACKAGES.findall(fault) for one in match.split()}
        if settings.hosts.install and are_packages(found.unfit.values()):
            yield Condition("needs of agents", State.OK, f"an update installs them: {why}")
            return
        remedy = _install(settings, found.unfit, packages) if packages else f"repair that, then: {CHECK}"
        yield Condition("needs of agents", State.FAILED, why, "", "agents cannot run", remedy, grave=True)
    else:
        yield Condition("needs of agents", State.OK, "every manager that answers has them")
    if found.tried:
        yield credentials(found.tried, found.trial)


def credentials(manager: str, trial: AgentFault | None) -> Condition:
    """Whether the agents' credentials work, as tried on a manager."""
    name = "credentials of agents"
    if trial is None:
        return Condition(name, State.OK, f"{manager} reads and writes with them")
    state = State.FAILED if trial.known else State.UNKNOWN
    doing = "credentials of agents do not work"
    return Condition(name, state, f"{manager}: {trial.why}", "", doing, trial.remedy, grave=trial.known)


def _answers(report: NodeReport) -> bool:
    return report.reach is Reach.ANSWERS


def _fence(settings: Settings, found: SetUp) -> Iterator[Condition]:
    """Whether this machine has the program that switches machines off."""
    if not settings.hosts.fence:
        return
    if found.fence:
        yield Condition("fence", State.OK, f"this machine has {settings.hosts.fence[0]}", here=True)
        return
    why = f"this machine has no program {settings.hosts.fence[0]}"
    yield Condition("fence", State.FAILED, why, "", "no fence program", "correct requorum:hosts.fence", here=True)
