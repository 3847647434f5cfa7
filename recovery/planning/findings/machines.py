"""Machines that differ from what they should be: firewall, certificate, memory, raft log, release of the engine."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from recovery.planning import firewall
from recovery.planning.findings.finding import (
    NO_MANAGER,
    NO_QUORUM_LEFT,
    Finding,
    Kind,
    Proposal,
    Remedy,
    Run,
    Weight,
    on_node,
)
from recovery.planning.findings.managers import Tasks
from recovery.planning.findings.sizes import in_words
from recovery.swarm.evidence import Evidence, MachineSeen, SwarmSeen
from recovery.swarm.model import NodeReport, Survey
from recovery.swarm.raft_options import DEFAULTS, restored
from recovery.swarm.votes import survives_outage

if TYPE_CHECKING:
    from recovery.settings import Settings

MEMORY_PART = 0.10
PRESSURE_PERCENT = 5.0
"""Raft loses its leader when all processes of a manager wait for memory. Elections begin after 10 s without a heartbeat."""
SWAPPED_BYTES = 256 << 20
WAL_BYTES = 1 << 30
"""Sixteen segments of 64 MiB. With the default snapshot every 10,000 entries a log has one to four."""
SNAPSHOT_BYTES = 512 << 20
"""A joining manager gets a snapshot in one message, and a restart reads it whole."""
UNIT = "requorum-firewall.service"
INTERVAL = "SnapshotInterval"


def judge(
    settings: "Settings", survey: Survey, swarm: SwarmSeen | None, looks: Sequence[Evidence]
) -> Iterator[Finding]:
    """Findings of single machines, then of releases that are apart."""
    leader = survey.leader.node.name if survey.leader else ""
    for seen in looks:
        report = survey.of(seen.node)
        yield from _of_firewall(settings, report)
        yield from _of_certificate(survey, report)
        if seen.looked and seen.looked.machine and report.node.role == "manager":
            yield from _of_memory(settings, survey, swarm, report, seen.looked.machine)
            yield from _of_raft(survey, seen.node, seen.looked.machine, leader)
    yield from _of_releases(survey)


def _of_firewall(settings: "Settings", report: NodeReport) -> Iterator[Finding]:
    found = report.on_node
    if not (found and found.firewall and firewall.is_wanted(settings, report)):
        return
    faults = firewall.faults(settings, found)
    if faults or not found.at_boot:
        name = report.node.name
        evidence = tuple(f"{family}: its rules are {chain}" for family, chain in faults.items())
        trouble = (
            "the firewall's rules are gone or changed" if faults else "the firewall does not start with the machine"
        )
        runs = (Run(name, ("systemctl", "enable", UNIT)), Run(name, ("systemctl", "restart", UNIT)))
        effect = "puts the rules back, which close the swarm's ports to strangers"
        yield Finding(name, trouble, (on_node(Remedy.NETWORK, effect, *runs),), Kind.FIREWALL_GONE, evidence)


def _of_certificate(survey: Survey, report: NodeReport) -> Iterator[Finding]:
    valid, name = report.certificate, report.node.name
    if report.in_swarm and valid and valid.is_overdue(survey.taken):
        left = (valid.ends - survey.taken) / timedelta(hours=1)
        trouble = (
            f"the certificate of its node ends in {left:.1f} hours"
            if left > 0
            else "the certificate of its node has ended"
        )
        evidence = (
            f"it was issued for {(valid.ends - valid.begins).days} days, and its engine should have renewed it",
        )
        effect = "lets its engine ask a manager for a new certificate"
        restart = Proposal(Remedy.RESTART, f"requorum restart {name}", effect)
        repair = restart if left > 0 else _joined_again(survey, report)
        yield Finding(name, trouble, (repair,), Kind.CERTIFICATE_ENDS, evidence)


def _joined_again(survey: Survey, report: NodeReport) -> Proposal:
    """How a node gets a new certificate once its own has ended: no engine starts with that one, and no manager renews it
    (swarmkit, ca.LoadSecurityConfig)."""
    name, leader, entry = report.node.name, survey.leader, survey.entry(report.node)
    leave = f"on {name}: docker swarm leave --force"
    effect = (
        "lets it join again with a new certificate. Do not restart its engine: it would not come back into the swarm"
    )
    if report.node.role == "worker":
        return Proposal(Remedy.UPDATE, f"{leave}, then: pulumi up", effect, "" if leader else NO_MANAGER)
    if leader is None:
        return Proposal(Remedy.RECOVER, "requorum plan", "shows the recovery, which also gives new certificates")
    refused = "" if survives_outage(report.node, leader.members, survey.told) else NO_QUORUM_LEFT
    node_id = entry.node_id if entry else report.node_id
    other = _other(survey, report)
    join = f"on {name}, as docker swarm join-token manager on {other} shows: docker swarm join"
    return Proposal(Remedy.UPDATE, f"on {other}: docker node demote {node_id}; {leave}; {join}", effect, refused)


def _other(survey: Survey, report: NodeReport) -> str:
    """Another manager with a leader than this one; this one if there is no other."""
    led = [one.node.name for one in survey.managers if one.led]
    return next((name for name in led if name != report.node.name), report.node.name)


def _of_memory(
    settings: "Settings", survey: Survey, swarm: SwarmSeen | None, report: NodeReport, machine: MachineSeen
) -> Iterator[Finding]:
    name = report.node.name
    low = machine.available < machine.memory * MEMORY_PART
    swaps = machine.swapped > SWAPPED_BYTES and machine.pressure > 0
    if not (low or swaps or machine.pressure > PRESSURE_PERCENT):
        return
    trouble = f"a manager lacks memory: {in_words(machine.available)} of {in_words(machine.memory)} are left"
    evidence = (
        f"{in_words(machine.swapped)} of {in_words(machine.swap)} swap are used",
        f"for {machine.pressure:g} % of the last minute, all processes waited for memory",
    )
    entry, proposals = survey.entry(report.node), []
    if survey.leader and swarm and entry and entry.availability == "active" and settings.workers:
        tasks = Tasks.on(entry.node_id, swarm)
        if tasks.movable:
            back = f"docker node update --availability active {entry.node_id} takes it back"
            proposals = [tasks.drained(entry.node_id, survey.leader.node.name, back)]
    proposals.append(Proposal(Remedy.SETTING, f"give {name} more memory", "lets raft write and answer in time"))
    yield Finding(name, trouble, tuple(proposals), Kind.MEMORY_LOW, evidence)


def _of_raft(survey: Survey, name: str, machine: MachineSeen, leader: str) -> Iterator[Finding]:
    facts = survey.leader.swarm if survey.leader else None
    raft = (restored(facts.spec).get("Raft") or {}) if facts else {}
    interval = raft.get(INTERVAL)
    if machine.wal > WAL_BYTES:
        usual, proposals = DEFAULTS[INTERVAL], []
        evidence = (f"the swarm makes a snapshot every {interval} entries",) if interval else ()
        if leader and isinstance(interval, int) and interval > usual:
            argv = ("docker", "swarm", "update", "--snapshot-interval", str(usual))
            effect = "lets managers drop old entries of the log sooner. Set requorum:swarm.snapshotInterval too"
            proposals = [on_node(Remedy.SETTING, effect, Run(leader, argv))]
        proposals.append(
            Proposal(
                Remedy.RESTART, f"requorum restart {name}", "lets the engine remove segments that it needs no more"
            )
        )
        trouble = f"its raft log has {in_words(machine.wal)}, so that a start takes long"
        yield Finding(name, trouble, tuple(proposals), Kind.RAFT_LARGE, evidence, Weight.SOON, "log")
    if machine.snapshots > SNAPSHOT_BYTES:
        trouble = f"the snapshots of its raft log have {in_words(machine.snapshots)}, so that a join takes long"
        hand = Proposal(
            Remedy.SETTING, "remove configs, secrets and services that nothing uses", "makes the swarm's state smaller"
        )
        yield Finding(name, trouble, (hand,), Kind.RAFT_LARGE, (), Weight.SOON, "snapshots")


def _of_releases(survey: Survey) -> Iterator[Finding]:
    engines: dict[str, list[str]] = {}
    for report in survey.reports:
        if report.engine and report.in_swarm:
            engines.setdefault(".".join(report.engine.split(".")[:2]), []).append(report.node.name)
    if len(engines) > 1:
        evidence = tuple(f"{release}: {', '.join(names)}" for release, names in sorted(engines.items()))
        newest = max(engines, key=lambda one: [int(part) if part.isdecimal() else 0 for part in one.split(".")])
        hand = Proposal(
            Remedy.UPDATE,
            f"give every node engine {newest}, one node after the other",
            "lets every manager read every log",
        )
        trouble = "the engines of the nodes are of different releases"
        yield Finding("cluster", trouble, (hand,), Kind.ENGINES_APART, evidence, Weight.ADVICE)
