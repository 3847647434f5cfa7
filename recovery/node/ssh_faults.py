"""Says what a failed attempt to enter a machine by SSH means, and what to do about it."""

import socket
from collections.abc import Mapping
from errno import EHOSTUNREACH, ENETUNREACH, ETIMEDOUT

from recovery.errors import (
    AccessDenied,
    HostKeyChanged,
    HostKeyUnknown,
    JumpHostFailed,
    Limited,
    Silent,
    SlowLogin,
    SshRefused,
    TransportError,
)
from recovery.node.door import Door
from recovery.node.ssh_keys import known_keys
from recovery.node.ssh_library import asyncssh

BEYOND: Mapping[str, OSError] = {
    "refused": ConnectionRefusedError(),
    "timed out": OSError(ETIMEDOUT, "Connection timed out"),
    "no route": OSError(EHOSTUNREACH, "No route to host"),
    "unreachable": OSError(ENETUNREACH, "Network is unreachable"),
}
"""What a jump host says of a machine that it does not reach, as this machine would say it (strerror(3), openssh: channels.c)."""
NEXT_LOOK = "check that the machine is up and reachable from here"
LIMITS = (
    "wait 30 s, then run the same command again. If that does not help, look on the node whether sshd runs and what limits "
    "new SSH connections: ufw status, iptables -S, MaxStartups in sshd_config"
)


def failed(
    door: Door, error: OSError | TimeoutError | asyncssh.Error, *, login: float, accepted: bool, greeted: bool
) -> TransportError:
    """What a failed attempt means. ``accepted`` and ``greeted`` say how far the machine came."""
    match error:
        case asyncssh.HostKeyNotVerifiable():
            return wrong_key(door)
        case asyncssh.PermissionDenied():
            remedy = (
                f"add its public key to the authorized_keys of {door.user} on that machine, or correct "
                "requorum:ssh.privateKeyFile or requorum:ssh.user"
            )
            key = f"the key {door.key_file}" if door.key_file else "any key of the SSH agent"
            why = f"the machine does not accept {key}"
            return AccessDenied(doing(door), why, remedy=remedy, node=door.name, code="access-denied")
        case ConnectionRefusedError():
            why = f"the machine is up and port {door.port} refuses the connection"
            remedy = (
                f"start sshd on {door.host}, or correct requorum:ssh.port. "
                "If sshd runs, the host may limit new connections: wait 30 s"
            )
            return SshRefused(doing(door), why, remedy=remedy, node=door.name, code="ssh-refused")
        case asyncssh.ChannelOpenError():
            return beyond(door, error)
        case socket.gaierror():
            why = f"the name {door.host} cannot be resolved ({error.strerror})"
            remedy = "correct its sshAddress in the stack file, or repair the name service of this machine"
            return TransportError(doing(door), why, remedy=remedy, node=door.name, code="ssh-failed")
        case TimeoutError():
            return slow(door, login) if accepted else silent(door, "timed out")
        case OSError() if not accepted:
            return silent(door, str(error))
        case OSError() | asyncssh.ConnectionLost() if accepted and not greeted:
            return limited(door)
    why = error.reason if isinstance(error, asyncssh.Error) else str(error)
    remedy = "read sshd's log on the node: journalctl -u ssh"
    return TransportError(doing(door), why, remedy=remedy, node=door.name, code="ssh-failed")


def beyond(door: Door, error: asyncssh.ChannelOpenError) -> TransportError:
    """What it means that the jump host opens no connection to the machine: sshd passes on the words of its system."""
    assert door.through
    if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
        why = f"the jump host {door.through} forbids connections to other machines ({error.reason})"
        remedy = f"set AllowTcpForwarding yes in sshd_config on {door.through.host}"
        return JumpHostFailed(doing(door), why, remedy=remedy, node=door.name, code="jump-host-failed")
    for word, meaning in BEYOND.items():
        if word in error.reason.lower():
            return failed(door, meaning, login=0, accepted=False, greeted=False)
    why = f"the jump host {door.through} cannot reach it ({error.reason})"
    remedy = f"on {door.through.host}: ssh-keyscan -p {door.port} {door.host}"
    return JumpHostFailed(doing(door), why, remedy=remedy, node=door.name, code="jump-host-failed")


def doing(door: Door) -> str:
    """What fails, in words."""
    return f"connecting to {door.user}@{door.host} by SSH"


def silent(door: Door, why: str) -> Silent:
    """Nothing answers."""
    return Silent(
        doing(door),
        f"nothing answers ({why})",
        remedy=NEXT_LOOK,
        node=door.name,
        code="node-unreachable",
    )


def slow(door: Door, seconds: float) -> SlowLogin:
    """The machine did not let us in within so many seconds."""
    return SlowLogin(
        doing(door),
        f"the machine accepts the connection but no login within {seconds:g} s",
        remedy="find out what keeps its login busy, or set requorum:ssh.loginSeconds higher",
        node=door.name,
        code="slow-login",
    )


def limited(door: Door) -> Limited:
    """The machine ends connections before the login."""
    refused = "refuses or drops new connections before the login, although it is up"
    return Limited(doing(door), f"the machine {refused}", remedy=LIMITS, node=door.name, code="ssh-limited")


def wrong_key(door: Door) -> TransportError:
    """The machine's host key is not the pinned one, or none is pinned. Raises: SettingError."""
    if not known_keys(door):
        return HostKeyUnknown(
            doing(door),
            f"no host key of {door.host} is pinned in {door.known_hosts_file}",
            remedy=f"compare the fingerprint on the machine (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then: "
            f"{door.scan} >> {door.known_hosts_file}",
            node=door.name,
            code="host-key-not-pinned",
        )
    return HostKeyChanged(
        doing(door),
        f"the machine's host key is not the host key pinned in {door.known_hosts_file}",
        remedy=f"find out which machine answers at {door.host}. If it is the right one, replace its line in that "
        f"file with the output of: {door.scan}",
        node=door.name,
        code="host-key-changed",
    )
