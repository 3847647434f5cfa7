"""One manager that is looked at alone, without a stack file: what it reports, and which other managers it knows."""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from recovery.swarm.address import Address, known, port_of
from recovery.swarm.machines import SWARM_PORT
from recovery.swarm.model import NodeReport
from recovery.swarm.survivor import Survivor

NEEDED = frozenset({"bash", "docker", "ip", "python3", "sha256sum", "systemd-run", "tar", "unshare", "zstd"})
"""The tools of a machine that a restore test and a repair need."""


@dataclass(frozen=True)
class Single:
    """What is known of a manager that is looked at alone."""

    report: NodeReport
    others: tuple[str, ...] = ()
    """The addresses of the other managers that its swarm directory names."""
    answering: tuple[str, ...] = ()
    """Those of them that answer at the managers' port, asked from this manager."""
    survivor: Survivor | None = None
    """Its log, if it has one and no leader."""
    kept: str = ""
    """The safety copy of its swarm directory, on its own disk."""
    beside: tuple[str, ...] = ()
    """Former swarm directories and safety copies next to the swarm directory."""
    root: str = "/var/lib/docker"
    """The folder of its engine's data, which holds the swarm directory."""

    @property
    def lacks(self) -> tuple[str, ...]:
        """The tools that the machine lacks for a trial in the sandbox."""
        found = self.report.on_node.lacks if self.report.on_node else ()
        return tuple(tool for tool in found if tool in NEEDED)

    @property
    def silent(self) -> tuple[str, ...]:
        """The other managers that do not answer. They may be alive where this manager does not reach them."""
        return tuple(address for address in self.others if address not in self.answering)


@dataclass(frozen=True)
class Remembered:
    """What the files next to a raft log say: the addresses of managers by node ID, and where the node entered its swarm."""

    managers: tuple[tuple[str, Address], ...] = ()
    """swarmkit's ``state.json`` (node: persistentRemotes)."""
    advertised: Address | None = None
    """The engine's ``docker-state.json`` (moby, daemon/cluster: nodeStartConfig). Empty on a node that joined."""
    data_path: Address | None = None
    listen: Address | None = None
    """The one address at which the engine listens for the managers' API; None if it listens at every address."""
    port: int = SWARM_PORT
    """The port of that API, as the engine's file tells it, or else an address of a manager."""

    def address(self, node_id: str) -> Address | None:
        """The address of the node that has this ID; None if no file tells."""
        own = (address for identity, address in self.managers if identity == node_id)
        return next(own, self.advertised)

    def others(self, node_id: str) -> tuple[str, ...]:
        """The addresses of the managers with other node IDs, in order."""
        mine = self.address(node_id)
        found = {address for identity, address in self.managers if identity != node_id and address != mine}
        return tuple(str(address) for address in sorted(found, key=lambda one: (one.version, int(one))))


def remembered(state: str, engine_state: str) -> Remembered:
    """Read the two files. What cannot be read says nothing."""
    engine = _parsed(engine_state)
    started = engine if isinstance(engine, dict) else {}
    addresses = [_address(started.get(key)) for key in ("AdvertiseAddr", "LocalAddr")]
    managers = tuple(_managers(_parsed(state)))
    ports = (port_of(text) for text in (str(started.get("ListenAddr") or ""), *(text for _, text in managers)))
    return Remembered(
        tuple((node_id, address) for node_id, text in managers if (address := known(text))),
        next((address for address in addresses if address), None),
        _address(started.get("DataPathAddr")),
        _address(started.get("ListenAddr")),
        next(filter(None, ports), SWARM_PORT),
    )


def _managers(entries: Any) -> Iterable[tuple[str, str]]:
    """The managers' IDs, and their addresses with ports."""
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            yield str(entry.get("node_id", "")), str(entry.get("addr") or "")


def _address(text: Any) -> Address | None:
    """The address in ``ADDRESS`` or ``ADDRESS:PORT``; None for an interface, and for 0.0.0.0."""
    return known(str(text or ""))


def _parsed(text: str) -> Any:
    with suppress(ValueError):
        return json.loads(text)
    return None
