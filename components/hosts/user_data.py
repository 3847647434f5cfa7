"""What a machine that a program makes gets at its first boot: a cloud-init configuration."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from recovery.node import machine_keys, ssh_keys
from recovery.node.machine_keys import MachineKey
from recovery.planning.preparation import PACKAGES
from recovery.settings import Settings
from recovery.swarm.machines import ROOT, Node

OF_AGENTS = ("python3-cryptography", "python3-nacl")
"""What the agent of a manager needs beside `PACKAGES`."""
HEAD = "#cloud-config\n"


def of_machines(settings: Settings) -> Mapping[str, str]:
    """The configuration of each node's machine by its address; nothing if the program makes no machines.

    Raises: SettingError if a host key is missing, or is not pinned, or the operator's key cannot be read.
    """
    if settings.hosts.driver != "program" or settings.hosts.identities is None:
        return {}
    keys = machine_keys.read(settings.hosts.identities, settings.nodes, settings.ssh)
    logins = [*dict.fromkeys((*ssh_keys.public_keys(settings.ssh.private_key_file), *settings.operators))]
    return {
        str(node.address): user_data(settings.ssh.user_of(node), node, keys[str(node.address)], logins)
        for node in settings.nodes
    }


def user_data(user: str, node: Node, key: MachineKey, logins: Sequence[str]) -> str:
    """The configuration of one machine: its host key, who may log in, and the packages that a node needs."""
    packages = [*PACKAGES.split(), *(OF_AGENTS if node.role == "manager" else ())]
    found: dict[str, Any] = {
        "ssh_deletekeys": True,
        "ssh_genkeytypes": [],
        "ssh_keys": {"ed25519_private": key.private, "ed25519_public": key.public},
        "disable_root": user != ROOT,
        "ssh_authorized_keys": list(logins),
        "package_update": True,
        "packages": packages,
    }
    if user != ROOT:
        sudo = {"sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash"}
        found["users"] = ["default", {"name": user, **sudo, "ssh_authorized_keys": list(logins)}]
    return HEAD + yaml.safe_dump(found, sort_keys=False)
