"""What the operator's own machine and settings show to others: secret files that they can read, and lines without encryption."""

import os
import stat
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from recovery.s3.bucket import SITES
from recovery.settings import Settings

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def warnings(settings: Settings) -> tuple[str, ...]:
    """One line for each of them, with what to do. Nothing of it hinders a recovery."""
    return (*_readable(settings), *_unencrypted(settings))


def secret_files(settings: Settings) -> tuple[Path, ...]:
    """The files with secrets that the settings name, and boto3's credentials."""
    encryption, agent, notify = settings.backup.encryption, settings.agent, settings.notify
    named = (
        settings.ssh.private_key_file,
        settings.backup.identity_file,
        settings.escrow.identity_file,
        encryption.key_file if encryption else None,
        *([agent.credentials_of(manager.name) for manager in settings.managers] if agent else ()),
        notify.urls_file if notify else None,
        Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")).expanduser(),
    )
    return tuple(dict.fromkeys(path for path in named if path))


def _readable(settings: Settings) -> Iterator[str]:
    for path in secret_files(settings):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:  # for whoever needs the file to say
            continue
        if mode & OTHERS:
            yield f"{path} holds a secret, and others on this machine can use it (mode {mode:o}). next: chmod 600 {quote(str(path))}"


def _unencrypted(settings: Settings) -> Iterator[str]:
    for key, site in zip(SITES, settings.backup.sites, strict=False):
        if _is_open(site.endpoint or "", "http"):
            yield (
                f"requorum:{key}.endpoint is {site.endpoint}: whoever is on the way can read and change what S3 answers. "
                "next: give an https endpoint"
            )
    for endpoint in dict.fromkeys((settings.hosts.endpoint, *settings.hosts.endpoints.values())):
        if _is_open(endpoint, "tcp"):
            yield (
                f"requorum:hosts names the engine {endpoint}: whoever reaches its port is root on that machine. "
                "next: give an ssh:// endpoint"
            )


def _is_open(endpoint: str, scheme: str) -> bool:
    """Whether an address has that scheme and is on a network: loopback and link-local addresses pass no router."""
    parts = urlsplit(endpoint)
    if parts.scheme != scheme:
        return False
    try:
        address = ip_address(parts.hostname or "")
    except ValueError:
        return parts.hostname != "localhost"
    return not (address.is_loopback or address.is_link_local)
