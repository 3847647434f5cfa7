"""Makes SSH keys: the operator's, and an identity for each node, which outlives the node."""

import shutil
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

import pyrage

from lab import command
from lab.errors import LabError
from lab.instance import Instance

_HOST_KEY = "ssh_host_ed25519_key"
_ADVICE = "Check that openssh-client is installed and that the lab's folder can be written"


def ensure(instance: Instance, nodes: Mapping[str, str]) -> dict[str, Path]:
    """Make missing keys for the operator and for ``nodes`` (name to address). Returns each node's identity folder.

    The function never changes an existing key, so a rebuilt node keeps its host key. It adds each address to
    ``known_hosts``.
    """
    _check(instance, nodes)
    instance.ssh_root.mkdir(parents=True, exist_ok=True, mode=0o700)
    operator = instance.operator_key
    if not operator.exists():
        _generate(operator, "requorum-lab-operator")
    identities = {name: instance.identity(name) for name in nodes}
    for name, folder in identities.items():
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / _HOST_KEY).exists():
            _generate(folder / _HOST_KEY, name)
        if not (folder / "authorized_keys").exists():
            shutil.copyfile(operator.with_suffix(".pub"), folder / "authorized_keys")
    _remember(instance, {address: identities[name] for name, address in nodes.items()})
    return identities


def ssh_command(instance: Instance, address: str) -> list[str]:
    """The start of a command line for a non-interactive SSH session as root, with pinned host keys."""
    return [
        "ssh",
        "-q",
        "-F",
        "none",
        "-i",
        str(instance.operator_key),
        "-o",
        f"UserKnownHostsFile={instance.known_hosts}",
        "-o",
        "GlobalKnownHostsFile=none",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "BatchMode=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "ConnectTimeout=30",
        f"root@{address}",
        "--",
    ]


def _check(instance: Instance, nodes: Mapping[str, str]) -> None:
    for name, address in nodes.items():
        doing = f"making the SSH identity of {name}"
        if not name or not set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-"):
            raise LabError(doing, "a node name has only a-z, 0-9 and -", "Choose another name")
        try:
            inside = any(ip_address(address) in subnet for subnet in (instance.subnet, instance.subnet6))
        except ValueError as error:
            raise LabError(doing, f"{address} is no address", "Give NAME=ADDRESS") from error
        if not inside:
            raise LabError(
                doing,
                f"{address} is outside {instance.subnet} and {instance.subnet6}",
                f"Give an address of lab {instance.octet}, or set REQUORUM_LAB",
            )


def _generate(path: Path, comment: str) -> None:
    # The folder is made next to its final place and renamed, so that a killed run leaves no incomplete identity.
    half = path.with_name(path.name + ".new")
    half.unlink(missing_ok=True)
    command.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", half],
        doing=f"making the SSH key {path}",
        advice=_ADVICE,
    )
    half.with_suffix(".new.pub").rename(path.with_suffix(".pub"))
    half.rename(path)


def _remember(instance: Instance, folders: Mapping[str, Path]) -> None:
    file = instance.known_hosts
    lines = file.read_text().splitlines() if file.exists() else []
    known = {line.split()[0]: line for line in lines if line}
    for address, folder in folders.items():
        kind, key = (folder / f"{_HOST_KEY}.pub").read_text().split()[:2]
        known[address] = f"{address} {kind} {key}"
    wanted = "".join(f"{line}\n" for line in known.values())
    if not file.exists() or file.read_text() != wanted:
        half = file.with_suffix(".new")
        half.write_text(wanted)
        half.rename(file)


def recipient(instance: Instance) -> str:
    """The recipient of the operator's age identity. If the identity is missing, make it."""
    file = instance.age_identity
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
        file.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    return str(pyrage.x25519.Identity.from_str(file.read_text().strip()).to_public())
