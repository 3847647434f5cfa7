"""One month of a cluster for an auditor: the availability of the quorum, the age of copies, drills and recoveries.

Agents tell when each manager saw a quorum and took proven copies (`recovery.agent.diary`). No operator signs that. Drills and
recoveries are signed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.copies.manifest import Manifest, Proof, Verdict
from recovery.errors import DamagedCopy, SettingError
from recovery.operations import last_drills, reports
from recovery.swarm.history import History, Span, common, hourly, length, longest_gap, read, union, without


@dataclass(frozen=True)
class Records:
    """What is known of a cluster, of all its time."""

    cluster: str
    histories: Mapping[str, History]
    """What each manager saw, by its name."""
    proven: Mapping[str, tuple[int, ...]]
    """When the proven copies were taken that S3 still has, by the name of the manager."""
    drills: tuple[Mapping[str, Any], ...] = ()
    reports: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


def bounds(text: str, now: datetime) -> tuple[datetime, datetime]:
    """The begin of a month, and its end or now. Raises: SettingError if the text names no month that has begun."""
    try:
        begun = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        begun = now
    if begun >= now:
        raise SettingError(
            "(--month)",
            f"{text} names no month that has begun",
            remedy=f"give a year and a month, such as --month {now:%Y-%m}",
            code="bad-argument",
        )
    after = begun.replace(year=begun.year + begun.month // 12, month=begun.month % 12 + 1)
    return begun, min(after, now)


def of(cluster: Cluster, text: str, now: datetime) -> dict[str, Any]:
    """The month as JSON (docs/json.md). Raises: SettingError, StoreError."""
    bounds(text, now)  # before S3 is asked
    return summary(gathered(cluster, now), text, now)


def gathered(cluster: Cluster, now: datetime) -> Records:
    """Everything that S3 tells of it. Raises: StoreError."""
    catalog = cluster.catalog()
    manifests = catalog.manifests()
    good = [(copy, one) for copy, one in manifests if not isinstance(one, DamagedCopy) and not one.strange]
    proven: dict[str, list[int]] = {manager.name: [] for manager in cluster.settings.managers}
    for copy, one in good:
        if one.verdict is Verdict.PROVEN:
            proven.setdefault(catalog.owner(copy), []).append(int(copy.dated.timestamp()))
    told, unreadable = reports.every(cluster)
    signed = tuple(report for report in told if not report.get("unsigned"))
    unsigned = [str(report["name"]) for report in told if report.get("unsigned")]
    left_out = [f"report {name} is left out: no operator vouches for it" for name in (*unsigned, *unreadable)]
    return Records(
        cluster.settings.cluster,
        {name: _history(cluster, catalog.names.get(name, (name,)), now) for name in proven},
        {name: tuple(at) for name, at in proven.items()},
        tuple(_drills(cluster, catalog, good)),
        signed,
        (*catalog.notes, *left_out),
    )


def summary(known: Records, text: str, now: datetime) -> dict[str, Any]:
    """One month of what is known. Pure. Raises: SettingError."""
    begun, ended = bounds(text, now)
    whole: Span = (int(begun.timestamp()), int(ended.timestamp()))
    mine = [report for report in known.reports if begun <= datetime.fromisoformat(report["ended"]) <= ended]
    return {
        "version": 1,
        "cluster": known.cluster,
        "month": text,
        "begun": begun.isoformat(),
        "ended": ended.isoformat(),
        "taken": now.isoformat(timespec="seconds"),
        "availability": _availability(known, whole),
        "copies": [_copies(known, name, whole) for name in sorted(known.histories.keys() | known.proven.keys())],
        "drills": [one for one in known.drills if begun <= datetime.fromisoformat(one["at"]) < ended],
        "recoveries": [_recovery(report) for report in reversed(mine)],
        "notes": list(known.notes),
    }


def _history(cluster: Cluster, names: Iterable[str], now: datetime) -> History:
    """What a manager told under its names, at every site. Raises: StoreError."""
    keys = (cluster.settings.keys.history(name) for name in names)
    told = (read(content) for key in keys for _, content in cluster.store.looks(key))
    return reduce(History.joined, told, History()).until(int(now.timestamp()))


def _availability(known: Records, whole: Span) -> dict[str, Any]:
    """The swarm was up when any manager saw a quorum. It had none when managers watched and none saw one, or a report says so."""
    histories = known.histories.values()
    watched = common(union(*(one.seen for one in histories)), (whole,))
    up = common(union(*(without(one.seen, one.lost) for one in histories)), (whole,))
    told = common(filter(None, map(_outage, known.reports)), (whole,))
    lost = union(without(watched, up), without(told, up))
    seen = length(up) + length(lost)
    return {
        "quorumSeconds": length(up),
        "lostSeconds": length(lost),
        "unknownSeconds": whole[1] - whole[0] - seen,
        "share": round(length(up) / seen, 6) if seen else None,
        "days": [_day(up, lost, day) for day in _days(whole)],
        "outages": [
            {
                "begun": _iso(a),
                "ended": _iso(b),
                "seconds": b - a,
                "recovered": any(common([(a, b)], [one]) for one in told),
            }
            for a, b in lost
        ],
    }


def _days(whole: Span) -> Iterable[Span]:
    """The days of a month, as far as it has come."""
    day = int(timedelta(days=1).total_seconds())
    return ((begun, min(begun + day, whole[1])) for begun in range(whole[0], whole[1], day))


def _day(up: Iterable[Span], lost: Iterable[Span], day: Span) -> dict[str, Any]:
    well, ill = length(common(up, [day])), length(common(lost, [day]))
    seconds = {"quorumSeconds": well, "lostSeconds": ill, "unknownSeconds": day[1] - day[0] - well - ill}
    return {"day": _iso(day[0])[:10], **seconds}


def _outage(report: Mapping[str, Any]) -> Span | None:
    """When a report says that there was no quorum, if a node could tell."""
    loss, outage = report.get("loss") or {}, report.get("outage") or {}
    if not loss.get("began") or not outage.get("seconds"):
        return None
    began = int(datetime.fromisoformat(loss["began"]).timestamp())
    return began, began + int(outage["seconds"])


def _copies(known: Records, name: str, whole: Span) -> dict[str, Any]:
    history = known.histories.get(name, History())
    times = hourly((*history.proven, *known.proven.get(name, ())))
    inside = [at for at in times if whole[0] <= at < whole[1]]
    since = history.copies_from if (history.copies_from or 0) > whole[0] else None
    recorded: Span = (since or whole[0], whole[1])
    counts = any(at < whole[1] for at in times) and recorded[0] < recorded[1]
    return {
        "manager": name,
        "proven": len(inside),
        "newest": _iso(inside[-1]) if inside else None,
        "longestSeconds": longest_gap(times, recorded) if counts else None,
        "recordedFrom": _iso(since) if since else None,
    }


def _drills(cluster: Cluster, catalog: Catalog, good: Iterable[tuple[Copy, Manifest]]) -> Iterable[dict[str, Any]]:
    """The drills of the copies that S3 still has, and the last one of each manager, newest first."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for copy, one in good:
        if (at := catalog.drilled(copy)) and one.proof:
            found[catalog.owner(copy), at.isoformat()] = _drill(catalog.owner(copy), one.proof, copy.name)
    for manager, proof in last_drills.last(cluster, catalog).items():
        found.setdefault((manager, proof.at.isoformat()), _drill(manager, proof, None))
    return sorted(found.values(), key=lambda drill: str(drill["at"]), reverse=True)


def _drill(manager: str, proof: Proof, copy: str | None) -> dict[str, Any]:
    return {
        "manager": manager,
        "at": proof.at.isoformat(),
        "copy": copy,
        "verdict": str(proof.verdict),
        "detail": proof.detail,
        "recoverySeconds": proof.recovery_seconds,
    }


def _recovery(report: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("name", "diagnosis", "lost", "copy", "survivor", "ended", "rto", "rpo", "outage", "verdict", "by")
    return {key: report.get(key) for key in kept}


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
