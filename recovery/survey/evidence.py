"""Looks at every node side by side, in one call each. Changes nothing."""

import json
import secrets
import time
from collections.abc import Callable

from recovery.cluster import Cluster
from recovery.errors import RequorumError
from recovery.node import looked
from recovery.node.connections import BRISK
from recovery.parallel import side_by_side
from recovery.settings import Settings
from recovery.swarm.evidence import Evidence
from recovery.swarm.machines import Node

CONNECT_SECONDS = 2.0
LOGIN_SECONDS = 3.0
"""A node whose login takes longer is not looked at: `requorum status` tells of it."""


def gather(cluster: Cluster, *, clock: Callable[[], float] = time.time) -> tuple[Evidence, ...]:
    """What every node of the settings tells, within 10 s also if nodes are dead. Raises: SettingError."""
    settings, token = cluster.settings, secrets.token_hex(8)

    def look(node: Node) -> Evidence:
        shell = cluster.shell(node, connect_seconds=CONNECT_SECONDS, login_seconds=LOGIN_SECONDS, pauses=BRISK)
        asked = clock()
        try:
            with shell:
                asked = clock()
                found = looked.look(shell, request(settings, node, token))
        except RequorumError as error:
            return Evidence(node.name, asked, clock(), fault=error.why)
        return Evidence(node.name, asked, clock(), found)

    return side_by_side(look, settings.nodes)


def request(settings: Settings, node: Node, token: str) -> str:
    """What the program on the node is asked for."""
    peers = [
        {
            "name": peer.name,
            "address": str(peer.address),
            "path": str(peer.data_path),
            "manager": peer.role == "manager",
        }
        for peer in settings.nodes
        if peer.name != node.name and peer.address.version == node.address.version
    ]
    swarm = settings.swarm
    ports = {"port": swarm.data_path_port, "managers_port": swarm.listen_port}
    return json.dumps({"node": node.name, "peers": peers, **ports, "token": token})
