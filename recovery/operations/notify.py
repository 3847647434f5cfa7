"""Tells people that something failed, and that it works again: through apprise, to whatever services its URLs name.

Quiet by default: a failure is told once, and then nothing until it is over. What was told is noted in S3, once every
service took it; where S3 takes no note, or gives none, each run tells its failure.
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
    """What it is about."""

    BACKUP = "backup"
    DRILL = "drill"
    DATA = "data-backup"
    RECOVERY = "recovery"


class Event(StrEnum):
    """What is told."""

    STARTED = "started"
    FAILED = "failed"
    RECOVERED = "recovered"


def started(settings: Settings, subject: Subject, detail: str, *, say: Say) -> None:
    """Something long or grave begins; told where the settings ask for that."""
    if settings.notify:
        _send(settings, subject, Event.STARTED, detail, say)


@contextmanager
def telling(settings: Settings, subject: Subject, *, say: Say) -> Iterator[None]:
    """Around what is to come to an end: what keeps it from one is told as a failure."""
    try:
        yield
    except RequorumError as error:
        failed(settings, subject, str(error), say=say)
        raise


@contextmanager
def guarded(settings: Settings, subject: Subject, detail: str, *, say: Say) -> Iterator[None]:
    """Around what is to come to an `outcome`: as `telling`, and its start is told as of `started`."""
    started(settings, subject, detail, say=say)
    with telling(settings, subject, say=say):
        yield


def outcome(settings: Settings, subject: Subject, faults: Sequence[str], fine: str, *, say: Say) -> None:
    """What came of it: its faults, or that there are none."""
    if faults:
        failed(settings, subject, "\n".join(faults), say=say)
    else:
        went_well(settings, subject, fine, say=say)


def failed(settings: Settings, subject: Subject, detail: str, *, say: Say) -> None:
    """It failed; told unless the last time was told already."""
    if settings.notify and not _told(settings, subject, say) and _send(settings, subject, Event.FAILED, detail, say):
        _note(settings, subject, say, detail.encode())


def went_well(settings: Settings, subject: Subject, detail: str, *, say: Say) -> None:
    """It went well; told where it had failed before."""
    if settings.notify and _told(settings, subject, say) and _send(settings, subject, Event.RECOVERED, detail, say):
        _note(settings, subject, say, None)


def rehearse(settings: Settings) -> bool:
    """Send a message of no consequence; whether every service took it. Raises: SettingError."""
    if settings.notify is None:
        raise SettingError("notify", "is not set", remedy="name a file with apprise's URLs as requorum:notify.urlsFile")
    title = f"swarm {settings.cluster}: a rehearsal"
    return bool(_services(settings.notify.urls_file).notify(title=title, body="failures will be told here"))


def _send(settings: Settings, subject: Subject, event: Event, detail: str, say: Say) -> bool:
    """Whether that is done with: every service took the message, or the settings do not ask for it."""
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
        say(f"not every service of requorum:notify.urlsFile took the message: {title}")
    return taken


def _services(file: Path) -> apprise.Apprise:
    """The services of the file's URLs, which are secrets: a wrong one is told by its line."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    services = apprise.Apprise()
    try:
        lines = [line.strip() for line in file.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            "notify.urlsFile", f"{file}: {getattr(error, 'strerror', error)}", remedy="name a readable file"
        ) from None
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#") and not services.add(line):
            raise SettingError(
                "notify.urlsFile",
                f"{file}, line {number} is no URL that apprise knows",
                remedy="see apprise's services",
            )
    return services


def _told(settings: Settings, subject: Subject, say: Say) -> bool:
    try:
        return Store(settings.backup.sites).look(settings.keys.notified(subject)) is not None
    except StoreError as error:
        say(f"whether the failure was told could not be read: {error.why}")
        return False


def _note(settings: Settings, subject: Subject, say: Say, detail: bytes | None) -> None:
    try:
        store = Store(settings.backup.sites)
        if detail is None:
            store.delete(settings.keys.notified(subject))
        else:
            store.put(settings.keys.notified(subject), detail)
    except StoreError as error:
        say(f"what was told could not be noted: {error.why}")
