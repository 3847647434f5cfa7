"""The SSH host keys of machines that a program makes. They are made and pinned before their machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from recovery.errors import SettingError
from recovery.node.door import door
from recovery.node.host_keys import STANDARD_PORT
from recovery.node.ssh_keys import known_keys
from recovery.node.ssh_library import asyncssh
from recovery.swarm.machines import Node, Ssh

FILE = "ssh_host_ed25519_key"
"""The private key in the folder of its machine. The public key is next to it."""


@dataclass(frozen=True)
class MachineKey:
    """The host key of one machine, in OpenSSH's formats."""

    private: str
    public: str


def read(folder: Path, nodes: Sequence[Node], ssh: Ssh) -> Mapping[str, MachineKey]:
    """The host key of each machine by the node's address, from ``folder/ADDRESS``.

    Raises: SettingError for all machines whose key is missing or is not pinned, with one command that makes and pins these.
    """
    found = {str(node.address): _key(folder / str(node.address) / FILE) for node in nodes}
    lacking = [node for node in nodes if not _is_pinned(node, found[str(node.address)], ssh)]
    if lacking:
        raise SettingError(
            "hosts.identities",
            f"{folder} has no host key that is pinned for {', '.join(node.name for node in lacking)}",
            remedy=_command(folder, lacking, ssh),
            code="host-keys-missing",
        )
    return {address: key for address, key in found.items() if key}


def _key(file: Path) -> MachineKey | None:
    try:
        private = file.read_text()
        public = asyncssh.import_private_key(private).export_public_key().decode()
    except OSError:
        return None
    except asyncssh.KeyImportError as error:
        raise SettingError(
            "hosts.identities",
            f"{file}: {error}",
            remedy=f"rm {quote(str(file))}, then run the same command again",
            code="unreadable-file",
        ) from None
    return MachineKey(private, " ".join(public.split()[:2]))


def _is_pinned(node: Node, key: MachineKey | None, ssh: Ssh) -> bool:
    if key is None or not ssh.known_hosts_file.exists():
        return False
    pinned = (known.export_public_key().decode() for known in known_keys(door(node, ssh)))
    return any(line.split()[:2] == key.public.split() for line in pinned)


def _command(folder: Path, nodes: Sequence[Node], ssh: Ssh) -> str:
    """Makes the keys that are missing, and pins all of them."""
    pairs = " ".join(quote(f"{node.address}={_pattern(node, ssh)}") for node in nodes)
    key = f'"$folder/{FILE}"'
    return (
        f'for machine in {pairs}; do folder={quote(str(folder))}/"${{machine%%=*}}"; mkdir -p "$folder"; '
        f"[ -e {key} ] || ssh-keygen -q -t ed25519 -N '' -C '' -f {key}; "
        f'echo "${{machine#*=}} $(cut -d " " -f 1,2 {key}.pub)" >> {quote(str(ssh.known_hosts_file))}; done'
    )


def _pattern(node: Node, ssh: Ssh) -> str:
    """How `known_hosts` names the machine (sshd(8))."""
    there = door(node, ssh)
    return there.host if there.port == STANDARD_PORT else f"[{there.host}]:{there.port}"
