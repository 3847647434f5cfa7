"""The question of a watcher and the consents of operators, in S3: ``PREFIX/CLUSTER/consents/``. All of them are signed.

A watcher asks by storing the plan. An operator answers from any machine, with the SSH key and the bucket alone. Nothing here
is deleted: a consent is withdrawn, and a question is closed, by writing it again.
"""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from recovery.cluster import Cluster
from recovery.copies.copy import TIME
from recovery.errors import Refused
from recovery.node.signing import Kind
from recovery.operations import reports
from recovery.pipeline.consents import Attempt, Consent, Question, goes_on
from recovery.s3.lease import operator
from recovery.swarm import records

T = TypeVar("T", Question, Consent, Attempt)
ATTEMPT = ".attempt.json"


def ask(cluster: Cluster, question: Question) -> None:
    """Store the question, if it is a new one. Raises: StoreError, SettingError."""
    if (before := asked(cluster)) is None or before.plan != question.plan or before.lines != question.lines:
        _write(cluster, cluster.settings.keys.question, question)


def close(cluster: Cluster, now: datetime) -> None:
    """Ask nothing any more. Raises: StoreError, SettingError."""
    if asked(cluster):
        _write(cluster, cluster.settings.keys.question, Question("", (), now, operator()))


def asked(cluster: Cluster) -> Question | None:
    """The question that is open. Raises: StoreError."""
    found = _newest(cluster, cluster.settings.keys.question, Question)
    return found[0] if found and found[0].plan and not found[1] else None


def give(cluster: Cluster, plan: str, now: datetime, *, withdrawn: bool = False) -> Question:
    """Consent to the plan that is asked for, or withdraw the consent to it; the question.

    Raises: Refused if no watcher asks for this plan; StoreError, SettingError.
    """
    cluster.operators.require()
    question = asked(cluster)
    if question is None or question.plan != plan:
        asks = f"a watcher asks for consent to plan {question.plan}" if question else "no watcher asks for a consent"
        raise Refused(
            f"consenting to plan {plan}",
            asks,
            remedy="requorum consent" if question else "requorum plan",
            code="consent-not-asked",
        )
    _write(cluster, cluster.settings.keys.consent_to(plan), Consent(plan, now, operator(), withdrawn))
    return question


def given(cluster: Cluster, plan: str) -> tuple[Consent | None, Attempt | None]:
    """The consent to a plan, and the last attempt that took one. Raises: StoreError."""
    keys = cluster.settings.keys
    consent, attempt = (
        _newest(cluster, keys.consent_to(plan), Consent),
        _newest(cluster, keys.attempt_at(plan), Attempt),
    )
    return (
        replace(consent[0], unsigned=consent[1]) if consent else None,
        attempt[0] if attempt and not attempt[1] else None,
    )


def begin(cluster: Cluster, consent: Consent, now: datetime) -> Attempt:
    """Note that a recovery by this consent begins. Raises: StoreError, SettingError."""
    attempt = Attempt(consent.plan, consent.when, now, operator())
    _write(cluster, cluster.settings.keys.attempt_at(consent.plan), attempt)
    return attempt


def end(cluster: Cluster, attempt: Attempt, how: str) -> None:
    """Note how the recovery ended. Its consent is used up. Raises: StoreError, SettingError."""
    _write(cluster, cluster.settings.keys.attempt_at(attempt.plan), replace(attempt, ended=how))


def unproven(cluster: Cluster, now: datetime) -> bool:
    """Whether a recovery by consent was begun, and is not proven yet. Raises: StoreError."""
    folder = cluster.settings.keys.consents
    found = [_newest(cluster, key, Attempt) for key in cluster.store.keys(folder) if key.endswith(ATTEMPT)]
    attempts = [one for one, fault in filter(None, found) if not fault]
    report = reports.newest(cluster, cluster.store) if attempts else ""
    return goes_on(attempts, datetime.strptime(report, TIME).replace(tzinfo=UTC) if report else None, now)


def _write(cluster: Cluster, key: str, what: Question | Consent | Attempt) -> None:
    document = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(what).items()
        if name != "unsigned"
    }
    signed = cluster.operators.sign(Kind.PLAN, key, document)
    cluster.store.everywhere(lambda site: site.put(key, signed))


def _newest(cluster: Cluster, key: str, kind: type[T]) -> tuple[T, str] | None:
    """The newest of a kind at any site, one that an operator signed before all others, and why it is unsigned."""
    found: list[tuple[T, str]] = []
    for _, content in cluster.store.looks(key):
        read = cluster.operators.read(Kind.PLAN, key, content)
        document: dict[str, Any] = {name: value for name, value in read.document.items() if name != "unsigned"}
        try:
            found.append((records.typed(kind, document), read.fault))
        except records.Unfit:
            continue
    return max(found, key=lambda one: (not one[1], one[0].when), default=None)
