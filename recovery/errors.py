"""Every error Requorum raises on purpose.

Each says what was being done, on which node, why it failed and what to do next.
None ever carries a secret: messages are built from names, addresses and the
engine's or server's own error text.
"""

from collections.abc import Sequence
from errno import EDQUOT, ENOSPC
from pathlib import Path

from recovery.plain import plain


class RequorumError(Exception):
    """Base of all: something failed that the operator can act on.

    ``code`` names the kind of failure, as `recovery.error_codes` lists it. It stays when the sentences change.
    """

    def __init__(self, doing: str, why: str, *, remedy: str, node: str | None = None, code: str = "") -> None:
        self.doing = doing
        self.why = why
        self.remedy = remedy
        self.node = node
        self.code = code
        where = f"{node}: " if node else ""
        end = f"\n  code: {code}" if code else ""
        super().__init__(plain(f"{where}{doing}: {why}\n  next: {remedy}{end}"))


class SettingError(RequorumError):
    """A key of the stack file is missing or wrong; nothing was done."""

    def __init__(self, key: str, why: str, *, remedy: str, code: str = "") -> None:
        self.key = key
        super().__init__(f"requorum:{key}", why, remedy=remedy, code=code)


class SettingErrors(SettingError):
    """Several keys of the stack file are missing or wrong; nothing was done."""

    def __init__(self, errors: Sequence[SettingError], *, remedy: str, code: str) -> None:
        self.key, self.errors = errors[0].key, tuple(errors)
        lines = "".join(f"\n  {one.doing}: {one.why}. next: {one.remedy}" for one in errors)
        RequorumError.__init__(
            self,
            "reading the settings",
            f"{len(errors)} of them are wrong:{lines}",
            remedy=remedy,
            code=code,
        )


class OptionError(SettingError):
    """An option of a command is missing or wrong; nothing was done."""

    def __init__(self, option: str, why: str, *, remedy: str, code: str) -> None:
        self.key = option
        RequorumError.__init__(self, option, why, remedy=remedy, code=code)


class Refused(RequorumError):
    """Going on would be unsafe; nothing was done."""


class HostError(RequorumError):
    """The Docker engine that carries the node containers did not do its part."""


class LocalError(RequorumError):
    """This machine did not do its part: its disk is full, or a file cannot be written or read."""


class TransportError(RequorumError):
    """A node could not be used over SSH."""


class Silent(TransportError):
    """Nothing answers at the node's address: dead, or cut off from here."""


class SshRefused(TransportError):
    """The machine is up and refuses the SSH connection."""


class AccessDenied(TransportError):
    """The SSH server does not accept our key or user."""


class HostKeyChanged(TransportError):
    """The machine shows another host key than the pinned one."""


class HostKeyUnknown(TransportError):
    """No host key is pinned for the machine."""


class SlowLogin(TransportError):
    """The machine accepts the connection, and does not let us in within the limit."""


class Limited(TransportError):
    """The machine is up, and refuses or drops new connections before the login."""


class JumpHostFailed(TransportError):
    """A jump host does not carry the connection to the machine. It says nothing about the machine."""


class Garbled(TransportError):
    """The login does not run commands, or prints something else than their answer."""


class CommandFailed(TransportError):
    """A command on a node ended with an error."""


class EngineError(RequorumError):
    """A node's Docker engine refused a request or did not answer in time."""


class StoreError(RequorumError):
    """S3 did not do what was asked: unreachable, no such bucket, not allowed."""


class StoreSilent(StoreError):
    """S3 does not answer, or answers that it cannot now: then the second site is asked, where there is one."""


class SiteSkipped(StoreError):
    """A site that lists an object was skipped, and no other site has the object, or has it undamaged."""


class ForgeError(RequorumError):
    """A forge (GitHub, Gitea, Forgejo, GitLab) did not do what was asked.

    ``status`` is the status of its HTTP answer, 0 without one.
    """

    def __init__(self, doing: str, why: str, *, remedy: str, code: str, status: int = 0) -> None:
        self.status = status
        super().__init__(doing, why, remedy=remedy, code=code)


class DamagedCopy(RequorumError):
    """A copy is not what its manifest says: torn, truncated, altered or unreadable."""


class UnopenedCopy(DamagedCopy):
    """A copy is whole, and the identities at hand do not open it: no recovery from here can use it, which says nothing about it."""


class UnreadCopy(DamagedCopy):
    """The only site that may have a copy undamaged does not answer: nobody knows how the copy is. No command takes it for damaged."""


class NoUsableCopy(RequorumError):
    """S3 holds no good copy of what is to be restored."""


class NoUnlockKey(RequorumError):
    """The key that an autolocked manager or its copy needs is not in escrow."""


class DamagedKeyFile(RequorumError):
    """A manager's key file is torn: no unlock key opens it, so nobody can read the manager's raft log."""


class ProofFailed(RequorumError):
    """After a step, the swarm is not what it must be; success is not claimed."""


def shown(error: RequorumError) -> str:
    """The last message of a command that ends with an error."""
    return f"STOPPED: {error}" if isinstance(error, Refused) else str(error)


FULL = frozenset({ENOSPC, EDQUOT})


def local_fault(error: OSError, where: Path) -> LocalError:
    """The error for a file below ``where`` that cannot be written or read."""
    return LocalError(
        f"using {where} on this machine",
        error.strerror or str(error),
        remedy="free disk space there, or name another folder in TMPDIR, then run the same command again",
        code="disk-failed",
    )
