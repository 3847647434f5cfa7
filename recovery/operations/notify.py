"""Notifies people that something failed, and that it works again, through the services that apprise's URLs name.

Requorum sends one notification per failure, and one when the failure is over. It notes a sent notification in S3 once every
service accepted it, and signs the note. If S3 cannot store or return that note, each run sends its failure again.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from recovery.cluster import Cluster
from recovery.errors import RequorumError, SettingError, StoreError
from recovery.node.signing import Kind
from recovery.plain import plain
from recovery.progress import Say

if TYPE_CHECKING:
    from apprise import Apprise


class Subject(StrEnum):
    """The operation that a notification is about."""

    BACKUP = "backup"
    DRILL = "drill"
    DATA = "data-backup"
    RECOVERY = "recovery"
    WATCH = "watch"


class Event(StrEnum):
    """What a notification reports."""

    STARTED = "started"
    FAILED = "failed"
    RECOVERED = "recovered"


class _Untold(Enum):
    """Why no failure counts as sent."""

    OVER = "none was sent, or it is over"
    UNKNOWN = "S3 does not tell"


OVER, UNKNOWN = _Untold.OVER, _Untold.UNKNOWN


def started(cluster: Cluster, subject: Subject, detail: str, *, say: Say) -> None:
    """Notify that an operation starts, if the settings ask for such notifications."""
    if cluster.settings.notify:
        _send(cluster, subject, Event.STARTED, detail, say)


@contextmanager
def telling(cluster: Cluster, subject: Subject, *, say: Say) -> Iterator[None]:
    """Run the body, and notify of the error that ends it, if any. Raises: what the body raises."""
    try:
        yield
    except RequorumError as error:
        failed(cluster, subject, str(error), say=say)
        raise


@contextmanager
def guarded(cluster: Cluster, subject: Subject, detail: str, *, say: Say) -> Iterator[None]:
    """Notify that an operation starts, run the body, and notify of the error that ends it, if any."""
    started(cluster, subject, detail, say=say)
    with telling(cluster, subject, say=say):
        yield


def outcome(cluster: Cluster, subject: Subject, faults: Sequence[str], fine: str, *, say: Say) -> None:
    """Notify of an operation's faults; if it has none, that it went well."""
    if faults:
        failed(cluster, subject, "\n".join(faults), say=say)
    else:
        went_well(cluster, subject, fine, say=say)


def failed(cluster: Cluster, subject: Subject, detail: str, *, say: Say, about: str = "", headline: str = "") -> bool:
    """Notify of a failure, unless this failure was already sent. ``about`` tells one failure of the subject from another.

    Returns whether nothing is left to send: every service accepted it, now or before, or the settings do not ask for it.
    """
    if not cluster.settings.notify or _told(cluster, subject, say) == about:
        return True
    if not _send(cluster, subject, Event.FAILED, detail, say, headline=headline):
        return False
    _note(cluster, subject, say, {"detail": detail, "about": about})
    return True


def went_well(cluster: Cluster, subject: Subject, detail: str, *, say: Say) -> bool:
    """Notify that an operation works again, if its failure was sent before. Returns whether nothing is left to send."""
    if not cluster.settings.notify:
        return True
    if (told := _told(cluster, subject, say)) in (OVER, UNKNOWN):
        return told == OVER
    if not _send(cluster, subject, Event.RECOVERED, detail, say):
        return False
    _note(cluster, subject, say, {"over": True})
    return True


def rehearse(cluster: Cluster) -> bool:
    """Send a test message; whether every service accepted it. Raises: SettingError."""
    settings = cluster.settings
    if settings.notify is None:
        raise SettingError(
            "notify",
            "is not set",
            remedy="name a file with apprise's URLs as requorum:notify.urlsFile",
            code="setting-missing",
        )
    title, body = f"swarm {settings.cluster}: test message", "Requorum will report failures here"
    return bool(_services(settings.notify.urls_file).notify(title=title, body=body))


def _send(cluster: Cluster, subject: Subject, event: Event, detail: str, say: Say, *, headline: str = "") -> bool:
    """Send a message; whether every service accepted it, or the settings do not ask for it."""
    settings = cluster.settings
    assert settings.notify
    if event not in settings.notify.events:
        return True
    from apprise import NotifyFormat, NotifyType

    kinds = {
        Event.STARTED: NotifyType.INFO,
        Event.FAILED: NotifyType.FAILURE,
        Event.RECOVERED: NotifyType.SUCCESS,
    }
    title, body = f"swarm {settings.cluster}: {headline or f'{subject} {event}'}", plain(detail)
    try:
        services = _services(settings.notify.urls_file)
    except RequorumError as error:
        say(str(error))
        return False
    text = NotifyFormat.TEXT  # a service that shows HTML or Markdown shows the markup of others as text
    taken = bool(services.notify(title=title, body=body, notify_type=kinds[event], body_format=text))
    if not taken:
        say(f"a service of requorum:notify.urlsFile did not accept this notification: {title}")
    return taken


def _services(file: Path) -> "Apprise":
    """The services of the file's URLs. URLs are secrets: an error shows the line number of a wrong URL, not the URL."""
    from apprise import Apprise  # here and not above: loading it takes long, and few runs send a message

    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    services = Apprise()
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


def _told(cluster: Cluster, subject: Subject, say: Say) -> str | _Untold:
    """What the failure that was sent last is about."""
    try:
        key = cluster.settings.keys.notified(subject)
        notes = [cluster.operators.read(Kind.NOTIFIED, key, content) for _, content in cluster.store.looks(key)]
        signed = [note.document for note in notes if not note.fault]
        newest = max(signed, key=lambda document: str(document.get("at", "")), default={"over": True})
        return OVER if newest.get("over") else str(newest.get("about", ""))
    except StoreError as error:
        say(f"Requorum cannot read from S3 whether it sent this notification before: {error.why}")
        return UNKNOWN


def _note(cluster: Cluster, subject: Subject, say: Say, document: Mapping[str, str | bool]) -> None:
    """Note it with its time at every site. Nothing is deleted: a site that does not answer would keep what is over."""
    try:
        key, at = cluster.settings.keys.notified(subject), datetime.now(UTC).isoformat()
        note = cluster.operators.sign(Kind.NOTIFIED, key, {**document, "at": at})
        cluster.store.everywhere(lambda site: site.put(key, note))
    except (StoreError, SettingError) as error:
        say(f"Requorum cannot note in S3 that it sent this notification: {error.why}")
