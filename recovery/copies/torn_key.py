"""Tells of a manager's key file that is torn. Agents use it too, and have no reader of archives."""

from recovery.errors import DamagedKeyFile
from recovery.swarm.key_file import is_locked


def require_key_file(pem: bytes, *, node: str) -> bool:
    """Check that a manager's key file is one, locked or not; whether it is locked. Raises: DamagedKeyFile."""
    try:
        return is_locked(pem)
    except ValueError as error:
        raise DamagedKeyFile(
            "reading its key file (swarm-node.key)",
            f"{error}. Its raft log cannot be read without it",
            remedy="let its engine run, which has the keys in memory, and copy its swarm directory (the folder swarm below its data-root, "
            "/var/lib/docker by default) to a safe place. Then, to go on without its log, run on it: docker swarm leave --force",
            node=node,
            code="key-file-unreadable",
        ) from None
