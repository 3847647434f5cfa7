"""Notifies people that something failed, and that it works again, through the services that apprise's URLs name.

Requorum sends one notification per failure, and one when the failure is over. It notes a sent notification in S3 once every
service accepted it. If S3 cannot store or return that note, each run sends its failure again.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import apprise

from recovery.errors import RequorumError, SettingError, StoreError
from recovery.progress import Say
from recovery.s3.store import Store
from recovery.settings import Settings


class Subject(StrEnum):
    """The operation that a notification is about."""

    BACKUP = "backup"
    DRILL = "drill"
    DATA = "data-backup"
    RECOVERY = "recovery"


class Event(StrEnum):
    """What a notification reports."""

    STARTED = "started"
    FAILED = "failed"
    RECOVERED = "recovered"


def started(settings: Settings, subject: Subject, detail: str, *, say: Say) -> None:
    """Notify that an operation starts, if the settings ask for such notifications."""
    if settings.notify:
        _send(settings, subject, Event.STARTED, detail, say)


@contextmanager
def telling(settings: Settings, subject: Subject, *, say: Say) -> Iterator[None]:
    """Run the body, and notify of the error that ends it, if any. Raises: what the body raises."""
    try:
        yield
    except RequorumError as error:
        failed(settings, subject, str(error), say=say)
        raise


@contextmanager
def guarded(settings: Settings, subject: Subject, detail: str, *, say: Say) -> Iterator[None]:
    """Notify that an operation starts, run the body, and notify of the error that ends it, if any."""
    started(settings, subject, detail, say=say)
    with telling(settings, subject, say=say):
        yield


def outcome(settings: Settings, subject: Subject, faults: Sequence[str], fine: str, *, say: Say) -> None:
    """Notify of an operation's faults; if it has none, that it went well."""
    if faults:
        failed(settings, subject, "\n".join(faults), say=say)
    else:
        went_well(settings, subject, fine, say=say)


def failed(settings: Settings, subject: Subject, detail: str, *, say: Say) -> None:
    """Notify of a failure, unless this failure was already sent."""
    if settings.notify and not _told(settings, subject, say) and _send(settings, subject, Event.FAILED, detail, say):
        _note(settings, subject, say, detail.encode())


def went_well(settings: Settings, subject: Subject, detail: str, *, say: Say) -> None:
    """Notify that an operation works again, if its failure was sent before."""
    if settings.notify and _told(settings, subject, say) and _send(settings, subject, Event.RECOVERED, detail, say):
        _note(settings, subject, say, None)


def rehearse(settings: Settings) -> bool:
    """Send a test message; whether every service accepted it. Raises: SettingError."""
    if settings.notify is None:
        raise SettingError(
            "notify",
            "is not set",
            remedy="name a file with apprise's URLs as requorum:notify.urlsFile",
            code="setting-missing",
        )
    title, body = f"swarm {settings.cluster}: test message", "Requorum will report failures here"
    return bool(_services(settings.notify.urls_file).notify(title=title, body=body))


def _send(settings: Settings, subject: Subject, event: Event, detail: str, say: Say) -> bool:
    """Send a message; whether every service accepted it, or the settings do not ask for it."""
    assert settings.notify
    if event not in settings.notify.events:
        return True
    kinds = {Event.STARTED: "info", Event.FAILED: "failure", Event.RECOVERED: "success"}
    title = f"swarm {settings.cluster}: {subject} {event}"
    try:
        services = _services(settings.notify.urls_file)
    except RequorumError as error:
        say(str(error))
        return False
    taken = bool(services.notify(title=title, body=detail, notify_type=apprise.NotifyType(kinds[event])))
    if not taken:
        say(f"a service of requorum:notify.urlsFile did not accept this notification: {title}")
    return taken


def _services(file: Path) -> apprise.Apprise:
    """The services of the file's URLs. URLs are secrets: an error shows the line number of a wrong URL, not the URL."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    services = apprise.Apprise()
    try:
        lines = [line.strip() for line in file.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            "notify.urlsFile",
            f"{file}: {getattr(error, 'strerror', error)}",
            remedy="name a readable file",
            code="unreadable-file",
        ) from None
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#") and not services.add(line):
            raise SettingError(
                "notify.urlsFile",
                f"line {number} of {file} is not a URL that apprise supports",
                remedy="correct that line as apprise's list of services describes",
                code="unreadable-file",
            )
    return services


def _told(settings: Settings, subject: Subject, say: Say) -> bool:
    try:
        return Store(settings.backup.sites).look(settings.keys.notified(subject)) is not None
    except StoreError as error:
        say(f"Requorum cannot read from S3 whether it sent this notification before: {error.why}")
        return False


def _note(settings: Settings, subject: Subject, say: Say, detail: bytes | None) -> None:
    try:
        store = Store(settings.backup.sites)
        if detail is None:
            store.delete(settings.keys.notified(subject))
        else:
            store.put(settings.keys.notified(subject), detail)
    except StoreError as error:
        say(f"Requorum cannot note in S3 that it sent this notification: {error.why}")
