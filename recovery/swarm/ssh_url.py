"""Where SSH reaches a machine, as OpenSSH writes it: ``ssh://user@host:port``."""

from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from recovery.swarm.machines import Hop

SCHEME = "ssh"


@dataclass(frozen=True)
class SshUrl:
    """A machine's name or address for SSH, with the user and the port."""

    host: str
    user: str = "root"
    port: int = 22

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{SCHEME}://{self.user}@{host}:{self.port}"


def parse_url(text: str, *, user: str = SshUrl.user, port: int = SshUrl.port) -> SshUrl:
    """The parts of ``ssh://[user@]host[:port]``, also without ``ssh://``; what it does not name is as given.

    Raises: ValueError, in words for the operator.
    """
    form = "give ssh://user@host or ssh://user@host:port"
    try:
        parts = urlsplit(text if "://" in text else f"{SCHEME}://{_bracketed(text)}")
        named = parts.port
    except ValueError:
        raise ValueError(f"{text!r} has no usable host and port: {form}") from None
    if parts.password is not None:
        raise ValueError(f"a password does not belong into an address: {form}, and use a key")
    if parts.scheme != SCHEME or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{text!r} is no address for SSH: {form}")
    return SshUrl(parts.hostname, parts.username or user, port if named is None else named)


def _bracketed(text: str) -> str:
    """An IPv6 address that stands alone, in brackets, as OpenSSH takes it without."""
    user, at, host = text.rpartition("@")
    try:
        return f"{user}{at}[{IPv6Address(host)}]"
    except ValueError:
        return text


def parse_hop(text: str) -> Hop:
    """A jump host as OpenSSH writes it, ``[user@]host[:port]``. Raises: ValueError, in words for the operator."""
    url = parse_url(text.strip())
    return Hop(host=url.host, user=url.user if "@" in text else None, port=url.port)
