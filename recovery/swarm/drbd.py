"""Reads what DRBD tells: `/proc/drbd` of version 8, and `drbdsetup status --json` of version 9 (DRBD User's Guide)."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from recovery.swarm.records import NO_RECORD

LINE = re.compile(r"^\s*(\d+): cs:(\w+)(?: (?:ro|st):(\w+)/(\w+) ds:(\w+)/(\w+))?", re.M)
"""A device in `/proc/drbd`: connection state, roles and disk states of this node and of its peer (8.0: st)."""
SYNCS = frozenset(
    {"SyncSource", "SyncTarget", "PausedSyncS", "PausedSyncT", "VerifyS", "VerifyT", "WFBitMapS", "WFBitMapT"}
)
"""States of a connection or of a replication in which data are on the way."""
OUT_OF_SYNC = re.compile(r"\boos:(\d+)")
SYNC = re.compile(r"sync'ed:\s*([\d.]+)%")
MOST = 1000
WORD = re.compile(r"\w+")
"""What a state, a role and a connection are called."""
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
"""A resource, and a host of it."""


@dataclass(frozen=True)
class Peer:
    """The other side of a resource, as one node sees it. ``name`` is empty in version 8, which knows one peer."""

    name: str
    connection: str
    role: str = "Unknown"
    disk: str = "DUnknown"
    synced: float = 100.0
    """Percent that are in sync."""
    syncs: bool = False


@dataclass(frozen=True)
class Resource:
    """A replicated volume on one node."""

    name: str
    role: str
    disk: str
    peers: tuple[Peer, ...] = ()
    out_of_sync: int = 0
    """KiB that are known to differ."""
    client: bool = False
    """Whether it has no disk on purpose."""

    @property
    def primary(self) -> bool:
        """Whether it is in use here."""
        return self.role == "Primary"

    @property
    def good(self) -> bool:
        """Whether its data are whole and, as far as this node knows, the newest."""
        return self.disk == "UpToDate"

    @property
    def connected(self) -> bool:
        """Whether every peer is connected, or syncs."""
        apart = {"StandAlone", "Disconnecting", "Unconnected", "Timeout", "BrokenPipe", "NetworkFailure", "Connecting"}
        return not any(one.connection in apart | {"WFConnection", "ProtocolError"} for one in self.peers)


def read(proc: str, status: str, names: Mapping[str, str]) -> tuple[Resource, ...]:
    """The resources of a node. ``names`` are those of version 8 by minor number."""
    return tuple(_of_status(status))[:MOST] if status.strip() else tuple(_of_proc(proc, names))[:MOST]


def _of_proc(text: str, names: Mapping[str, str]) -> Iterator[Resource]:
    found = list(LINE.finditer(text))
    for number, match in enumerate(found):
        minor, connection, role, other, disk, others = match.groups()
        if connection == "Unconfigured":
            continue
        end = found[number + 1].start() if number + 1 < len(found) else len(text)
        rest = text[match.end() : end]
        out, synced = OUT_OF_SYNC.search(rest), SYNC.search(rest)
        percent = float(synced[1]) if synced and synced[1].count(".") < 2 else 100.0
        peer = Peer("", connection, other or "Unknown", others or "DUnknown", percent, connection in SYNCS)
        name = names.get(minor, f"minor-{minor}")
        if not NAME.fullmatch(name):
            continue
        yield Resource(name, role or "Unknown", disk or "Unknown", (peer,), int(out[1]) if out else 0)


def _of_status(text: str) -> Iterator[Resource]:
    try:
        listed = json.loads(text)
    except NO_RECORD:
        return
    for one in listed if isinstance(listed, list) else ():
        try:
            yield _resource(one)
        except NO_RECORD:
            continue


def _resource(of: Mapping[str, Any]) -> Resource:
    disks = [_word(device["disk-state"]) for device in of["devices"]]
    peers = tuple(_peer(one) for one in of.get("connections", ()))
    differ = [
        int(volume.get("out-of-sync", 0)) for one in of.get("connections", ()) for volume in one.get("peer_devices", ())
    ]
    client = any(device.get("client") is True for device in of["devices"])
    return Resource(_name(of["name"]), _word(of["role"]), _worst(disks), peers, max([0, *differ]), client)


def _peer(of: Mapping[str, Any]) -> Peer:
    volumes = of.get("peer_devices", ())
    disks = [_word(volume["peer-disk-state"]) for volume in volumes]
    synced = min([100.0, *(float(volume.get("percent-in-sync", 100.0)) for volume in volumes)])
    connection = _word(of["connection-state"])
    syncs = any(str(volume.get("replication-state")) in SYNCS for volume in volumes)
    return Peer(_name(of["name"]), connection, _word(of.get("peer-role") or "Unknown"), _worst(disks), synced, syncs)


def _word(text: Any) -> str:
    """Raises: ValueError for anything else: it would be shown as the doctor's own."""
    if not WORD.fullmatch(str(text)):
        raise ValueError(text)
    return str(text)


def _name(text: Any) -> str:
    """Raises: ValueError for anything else."""
    if not NAME.fullmatch(str(text)):
        raise ValueError(text)
    return str(text)


ORDER = (
    "UpToDate",
    "Consistent",
    "Outdated",
    "Inconsistent",
    "DUnknown",
    "Negotiating",
    "Attaching",
    "Detaching",
    "Failed",
    "Diskless",
)
"""The states of a disk, the best first."""


def _worst(disks: list[str]) -> str:
    """The state of a resource with several volumes."""
    return max(disks, key=lambda one: ORDER.index(one) if one in ORDER else len(ORDER), default="DUnknown")
