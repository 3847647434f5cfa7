"""Describes a running swarm as settings that take it over: everything that the settings do not name stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from recovery.errors import Refused
from recovery.swarm.address import Address, known, port_of
from recovery.swarm.found import DATA_PATH_PORT
from recovery.swarm.machines import SWARM_PORT

if TYPE_CHECKING:
    from recovery.swarm.entries import Member
    from recovery.swarm.model import NodeReport, Survey

ZONE_LABELS = ("zone", "availability-zone", "az", "datacenter", "dc", "rack")
"""The last words of labels that name a node's zone, the best first."""
NO_NAME = re.compile(r"[^a-z0-9-]+")
LONGEST = 63


@dataclass(frozen=True)
class Found:
    """A running swarm, as one of its managers tells it."""

    report: NodeReport
    managers: tuple[Member, ...]
    workers: tuple[Member, ...]
    """The workers that are Ready."""
    down: tuple[Member, ...]
    """The workers that are not Ready. They are not taken over, and left alone."""

    @property
    def nodes(self) -> tuple[Member, ...]:
        """Every node that is taken over, managers first."""
        return self.managers + self.workers

    @property
    def autolocked(self) -> bool:
        """Whether managers of the swarm need its unlock key when they start."""
        spec = self.report.swarm.spec if self.report.swarm else {}
        return bool((spec.get("EncryptionConfig") or {}).get("AutoLockManagers"))


def find(report: NodeReport) -> Found:
    """The swarm of a manager. Raises: Refused when the report does not describe one that can be taken over now."""
    doing = f"reading the swarm of {report.node.name}"
    if not (report.control and report.members):
        why = "it is no manager of a swarm with a leader" + (f" ({report.detail})" if report.detail else "")
        remedy = "name a manager in --from: on a node of the swarm, docker node ls lists the managers"
        raise Refused(doing, why, remedy=remedy, code="no-leader")
    ordered = sorted(report.members, key=lambda member: (member.hostname, member.node_id))
    managers = tuple(member for member in ordered if member.role == "manager")
    if away := [member.hostname for member in managers if not (member.reachable and member.votes)]:
        why = f"its manager {', '.join(away)} is not reachable"
        remedy = (
            "start the manager, or take it out (docker node demote, docker node rm), then run the same command again"
        )
        raise Refused(doing, why, remedy=remedy, code="silent-manager")
    workers = tuple(member for member in ordered if member.role != "manager")
    found = Found(report, managers, tuple(w for w in workers if w.ready), tuple(w for w in workers if not w.ready))
    if strange := [member for member in found.nodes if address_of(member) is None]:
        shown = ", ".join(f"{member.hostname} ({member.address or 'none'})" for member in strange)
        why = f"these nodes have no address in the swarm: {shown}"
        remedy = "on each of them, join again with docker swarm join --advertise-addr ADDRESS"
        raise Refused(doing, why, remedy=remedy, code="no-address")
    return found


def address_of(member: Member) -> Address | None:
    """The node's address in the swarm; None if it has none. An engine that does not know its own tells 0.0.0.0."""
    return known(member.raft_address) or known(member.address)


def zone_of(member: Member) -> str:
    """The zone that a node's labels name; empty if none does."""
    ends = {re.split(r"[./]", key)[-1].lower(): value for key, value in sorted(member.labels.items())}
    return next((_name(ends[label]) for label in ZONE_LABELS if _name(ends.get(label, ""))), "")


def names(members: Sequence[Member]) -> dict[str, str]:
    """The name of each node by its node ID: the host name, as far as it can be a name, and a number where two are alike."""
    found: dict[str, str] = {}
    for member in members:
        name = _name(member.hostname) or "node"
        numbered = (f"{name[: LONGEST - 4]}-{number}" for number in count(2))
        found[member.node_id] = next(one for one in chain((name,), numbered) if one not in found.values())
    return found


def _name(text: str) -> str:
    """The text as a name of the settings: small letters, digits and hyphens."""
    return NO_NAME.sub("-", text.lower())[:LONGEST].strip("-")


def dial_of(found: Found, host: str) -> dict[str, str]:
    """The SSH address of the node that was asked, by its name: it was reached there."""
    named = names(found.nodes)
    return {named[member.node_id]: host for member in found.nodes if member.node_id == found.report.node_id}


def as_values(found: Found, zones: Mapping[str, str], dials: Mapping[str, str]) -> dict[str, Any]:
    """The settings that take the swarm over, keys in camel case.

    ``zones`` has the zone of each node by its name, if it is known. ``dials`` has the SSH address of a node that SSH reaches
    at another address than its own.
    """
    named = names(found.nodes)

    def node(member: Member) -> dict[str, str]:
        name = named[member.node_id]
        given = {"name": name, "address": str(address_of(member))}
        zone = {"zone": zones[name]} if name in zones else {}
        dial = {"sshAddress": dials[name]} if dials.get(name, given["address"]) != given["address"] else {}
        return given | zone | dial

    values: dict[str, Any] = {
        "clusterId": found.report.cluster_id,
        "caSha256": _ca(found),
        "zones": sorted(set(zones.values())),
        "managers": [node(member) for member in found.managers],
        "workers": [node(member) for member in found.workers],
        "swarm": dict(_options(found)),
    }
    return {key: value for key, value in values.items() if value}


def _ca(found: Found) -> str:
    """The digest of the swarm's CA, which no node can tell after the loss of all. Empty while the CA is rotated."""
    rotating = found.report.swarm is not None and found.report.swarm.rotating
    return "" if rotating else found.report.ca_sha256


def _options(found: Found) -> Iterator[tuple[str, Any]]:
    """The options that no engine can tell after the loss of all managers. The others stay as the swarm has them."""
    port = found.report.swarm.data_path_port if found.report.swarm else DATA_PATH_PORT
    if port != DATA_PATH_PORT:
        yield "dataPathPort", port
    ports = {port_of(member.manager_address) for member in found.managers}
    if len(ports) == 1 and (own := ports.pop()) not in (0, SWARM_PORT):
        yield "listenPort", own
    if found.autolocked:
        yield "autolock", True


def with_data_paths(values: Mapping[str, Any], survey: Survey) -> dict[str, Any]:
    """The settings with the data path address of each node that has one of its own."""
    paths = {
        r.node.name: r.on_node.data_path for r in survey.reports if r.on_node and r.in_swarm and r.on_node.data_path
    }

    def node(given: Mapping[str, Any]) -> dict[str, Any]:
        path = paths.get(given["name"])
        return {**given, **({"dataPathAddress": path} if path else {})}

    return {**values, **{key: [node(one) for one in values[key]] for key in ("managers", "workers") if key in values}}
