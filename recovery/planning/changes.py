"""Which entries and options of the swarm differ from the settings: what an update changes beside the steps of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recovery.planning import departures, firewall, votes
from recovery.planning.entries import stale
from recovery.planning.preparation import PACKAGES, Preparation, closing, prepare
from recovery.swarm import raft_options, rotation
from recovery.swarm.drained import NOTE, noted
from recovery.swarm.engine_version import reaches
from recovery.swarm.maintenance import Maintenance

if TYPE_CHECKING:
    from recovery.planning.plan import Plan
    from recovery.settings import Settings
    from recovery.swarm.entries import Member
    from recovery.swarm.found import SwarmFacts
    from recovery.swarm.machines import Node, SwarmOptions
    from recovery.swarm.model import NodeReport, Survey

SECOND = 1_000_000_000
OPTIONS = {
    "task_history_limit": ("task history limit", ("Orchestration", "TaskHistoryRetentionLimit"), 1),
    "snapshot_interval": ("snapshot interval", ("Raft", "SnapshotInterval"), 1),
    "max_snapshots": ("number of old snapshots", ("Raft", "KeepOldSnapshots"), 1),
    "dispatcher_heartbeat_seconds": ("heartbeat in seconds", ("Dispatcher", "HeartbeatPeriod"), SECOND),
    "cert_expiry_hours": ("validity of certificates in hours", ("CAConfig", "NodeCertExpiry"), 3600 * SECOND),
    "autolock": ("autolock", ("EncryptionConfig", "AutoLockManagers"), 1),
}
"""Each option that a running swarm can change: its name for readers, where the engine's API has it, and the API's unit."""


@dataclass(frozen=True)
class Changes:
    """What an update changes beside the plan's steps, in words."""

    options: tuple[str, ...] = ()
    """Of the swarm as a whole."""
    entries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each node's entry in the swarm's node list, by the node's name."""
    machines: Mapping[str, Preparation] = field(default_factory=dict)
    """The preparation of each node, and how the machine differs from it."""
    agents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """How the agent of a manager differs from the settings and from what was installed."""
    votes: tuple[str, ...] = ()
    """One vote after the other, as the plan's steps and the changes of entries give and take them."""
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The changes as preview shows them."""
        swarm = (f"change: swarm: {text}" for text in self.options)
        nodes = (f"change: {name}: {text}" for name, texts in self.entries.items() for text in texts)
        return (*swarm, *nodes, *self.votes, *self.drift, *(f"note: {note}" for note in self.notes))

    @property
    def alters(self) -> bool:
        """Whether an update changes anything beside the plan's steps."""
        return bool(self.options or any(self.entries.values()) or self.drift)

    @property
    def drift(self) -> tuple[str, ...]:
        """How the machines differ from what Requorum puts on them, a line each."""
        found = {name: self.drift_of(name) for name in (*self.machines, *self.agents)}
        return tuple(f"drift: {name}: {text}" for name, text in found.items() if text)

    def drift_of(self, name: str) -> str:
        """How one machine differs, in words; empty if it does not."""
        machine = self.machines.get(name)
        texts = (*(machine.drift if machine else ()), *self.agents.get(name, ()))
        if machine and machine.lacks:
            texts = (*texts, f"it lacks {', '.join(machine.lacks)} (apt-get install {PACKAGES})")
        return "; ".join(texts)

    @property
    def of_swarm(self) -> tuple[str, ...]:
        """The changes of the swarm and its node list, after which an update is proven."""
        return (*self.options, *(f"{name}: {text}" for name, texts in self.entries.items() for text in texts))


def find(settings: Settings, survey: Survey, plan: Plan, agents: Mapping[str, str]) -> Changes:
    """What differs from the settings, as far as machines and a manager with a leader tell; the plan's own steps are not repeated.

    ``agents`` has the digest of the agent that each manager should have.
    """
    facts = survey.leader.swarm if survey.leader else None
    found = {node.name: tuple(_of_entry(node, settings, survey, plan)) for node in settings.nodes}
    return Changes(
        options=tuple(of_options(settings.swarm, facts)) if facts else (),
        entries={name: texts for name, texts in found.items() if texts},
        machines=prepare(settings, survey),
        agents={report.node.name: tuple(_of_agent(report, agents)) for report in survey.managers},
        votes=tuple(votes.lines(settings, survey)),
        notes=(
            *settings.weaknesses,
            *firewall.notes(settings, survey, closing(settings, survey)),
            *(_notes(settings.swarm, facts) if facts else ()),
            *_data_paths(settings, survey),
            *_in_maintenance(settings, survey),
            *_engines(settings, survey),
            *departures.notes(survey, votes.of_leaving(settings, survey)),
        ),
    )


def _of_agent(report: NodeReport, wanted: Mapping[str, str]) -> Iterator[str]:
    """How a manager's agent differs."""
    digest, found = wanted.get(report.node.name), report.on_node
    if not digest or not found:
        return
    if not found.agent:
        yield "it has no agent"
    elif found.agent != digest:
        yield "its agent is of another release or has other settings"
    if found.units:
        yield f"{', '.join(found.units)} of its agent is not as installed"
    if found.stopped:
        yield f"{', '.join(found.stopped)} of its agent does not run"


def of_options(wanted: SwarmOptions, facts: SwarmFacts) -> Iterator[str]:
    """The options that the settings name and the swarm has otherwise, and those that an interrupted join has changed."""
    if raft_options.is_shortened(facts.spec):
        yield "the raft options that an interrupted join has changed are put back"
    spec = raft_options.restored(facts.spec)
    for key, (name, place, unit) in OPTIONS.items():
        value, found = getattr(wanted, key), _at(spec, place)
        if value is None or value * unit == (found or 0):
            continue
        if isinstance(value, bool):
            yield f"{name} is switched {'on' if value else 'off'}"
        else:
            yield f"{name}: {(found or 0) // unit} becomes {value}"

    have = tuple(rotation.external_cas(spec))
    if (urls := tuple(ca.url for ca in wanted.external_cas)) and urls != have:
        yield f"external CAs: {', '.join(have) or 'none'} become {', '.join(urls)}"


def _at(spec: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    value: Any = spec
    for key in place:
        value = (value or {}).get(key)
    return value


def _notes(wanted: SwarmOptions, facts: SwarmFacts) -> Iterator[str]:
    if facts.data_path_port != wanted.data_path_port:
        yield (
            f"the swarm's data path port is {facts.data_path_port}. Set requorum:swarm.dataPathPort to it, because after the "
            "loss of all managers no engine can tell it"
        )


def _data_paths(settings: Settings, survey: Survey) -> Iterator[str]:
    """Nodes that send their overlay traffic elsewhere than the settings say."""
    wanted = {node.name: str(node.data_path_address or "") for node in settings.nodes}
    for report in survey.reports:
        if report.on_node is None or not report.in_swarm:
            continue
        name, found, named = report.node.name, report.on_node.data_path, wanted.get(report.node.name, "")
        if found and not named:
            yield (
                f"{name} has the data path address {found}. Set the node's dataPathAddress to it, because a machine that joins "
                "again gets the address only from the stack file"
            )
        elif named and named != found:
            yield f"{name} gets the data path address {named} only when it joins again. It has {found or 'none'}"


def _in_maintenance(settings: Settings, survey: Survey) -> Iterator[str]:
    """The nodes whose availability an update leaves alone."""
    for node in settings.nodes:
        if noted_maintenance := Maintenance.of(survey.entry(node)):
            yield (
                f"{node.name} is in {noted_maintenance.text}, so its availability stays as it is. "
                f"requorum undrain {node.name} gives {noted_maintenance.before} back"
            )


def _engines(settings: Settings, survey: Survey) -> Iterator[str]:
    """Nodes whose engine is older than the settings want. An update does not upgrade engines."""
    wanted = settings.engine.version if settings.engine else ""
    known = (report for report in survey.reports if report.engine and report.in_swarm)
    if wanted and (behind := [one.node.name for one in known if not reaches(one.engine, wanted)]):
        yield f"{', '.join(behind)}: the engine is older than requorum:engine.version {wanted}. requorum upgrade brings it there"


def _of_entry(node: Node, settings: Settings, survey: Survey, plan: Plan) -> Iterator[str]:
    """What changes in a node's entry: only what the settings name, and entries that its earlier machines left behind."""
    entry = survey.entry(node)
    if entry is None:
        return
    if entry.reachable and not entry.ready and not plan.all_of(node.name):
        yield "it votes and is not Ready, so its engine is restarted"
    if entry.role != node.role and not plan.all_of(node.name):
        yield f"{entry.role} becomes {node.role}"
    wanted = "" if Maintenance.of(entry) else node.availability or noted(entry)
    if wanted and entry.availability != wanted:
        yield f"availability {entry.availability} becomes {wanted}"
    if NOTE in entry.labels:
        yield "the note of an interrupted removal or walk is taken off"
    yield from _of_labels(node, entry)
    report = next((one for one in survey.reports if one.node.name == node.name), None)
    if report and report.in_swarm and survey.leader:
        for old in stale(survey.leader.members, node, report.node_id, settings.nodes, survey.told):
            yield f"the old entry {old.node_id} of {old.hostname} is removed"


def _of_labels(node: Node, entry: Member) -> Iterator[str]:
    for key, value in node.labels.items():
        if key not in entry.labels:
            yield f"label {key}={value} is added"
        elif entry.labels[key] != value:
            yield f"label {key}: {entry.labels[key]} becomes {value}"
