"""Which copies are kept and which are removed, each with the reasons.

The rules of a manager apply to its copies of one swarm under one CA, so that copies of another swarm never replace them,
and neither do copies that somebody made under a CA of their own. The rules of the cluster apply to the copies of all its managers. Every rule keeps the newest of something, and periods without a copy
are skipped. If no copies are made, or the clock is wrong, a copy that the rules kept before stays.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import Any, Generic, Protocol, TypeVar

from recovery.copies.copy import Copy
from recovery.copies.keeps import Keep
from recovery.copies.manifest import WITH_INVENTORY, Manifest, Verdict
from recovery.copies.order import furthest
from recovery.copies.owners import NOBODY_RENAMED, Owners
from recovery.errors import DamagedCopy, StoreError
from recovery.settings import Retention, RetentionRules

PERIODS: Mapping[str, Callable[[datetime], str]] = {
    "hourly": lambda taken: f"{taken:%Y-%m-%d %H} h",
    "daily": lambda taken: f"{taken:%Y-%m-%d}",
    "weekly": lambda taken: f"{taken:%G-W%V}",
    "monthly": lambda taken: f"{taken:%Y-%m}",
    "yearly": lambda taken: f"{taken:%Y}",
}
"""What the period of a copy is called, in UTC; weeks are those of ISO 8601."""
VERSIONS_STAY = (
    "the bucket has versioning: it keeps the removed copies as old versions until a lifecycle rule deletes them"
)
NOT_SET = "requorum:backup.retention is not set"


class Kept(Protocol):
    """A copy of a manager, or of a service's data, as the rules see it."""

    @property
    def key(self) -> str:
        """Of its archive in S3."""

    @property
    def name(self) -> str:
        """What an operator calls it."""

    @property
    def taken(self) -> datetime:
        """When."""

    @property
    def dated(self) -> datetime:
        """When, as far as that can be."""

    @property
    def owner(self) -> str:
        """Whose copies it is kept with: a manager, or the data of that name."""


C = TypeVar("C", bound=Kept)


@dataclass(frozen=True)
class Candidate(Generic[C]):
    """What the rules know of one copy, or of an archive without a manifest (``half``)."""

    copy: C
    swarm: str = ""
    manager: str = ""
    """Whose copy it is, if that is not the owner in its name: its manager has another name now."""
    proven: bool = False
    """Whether a whole swarm came up from it."""
    furthest: bool = False
    """Whether it is one of `furthest_proven`."""
    fault: str = ""
    """Why it cannot be judged; such a copy is never removed by a rule, and stands in for none."""
    half: bool = False
    mark: Keep | None = None
    sites: tuple[str, ...] = ()
    """Where all of it lies."""
    stored: datetime | None = None
    """When S3 took an archive without a manifest: its name may be days older, having waited on its node for a site that was down."""
    signer: str = ""
    """Who signed it: the digest of the swarm's CA. What somebody makes under a CA of their own stands in for no copy of the swarm."""

    @property
    def group(self) -> tuple[str, str, str]:
        """Whose copies it is judged with."""
        return self.owner, self.swarm, self.signer

    @property
    def owner(self) -> str:
        """With whose copies it is kept."""
        return self.manager or self.copy.owner

    @property
    def cluster(self) -> tuple[str, str]:
        """The swarm whose copies it is judged with by the cluster's rules."""
        return self.swarm, self.signer


@dataclass(frozen=True)
class Decision(Generic[C]):
    """Whether a copy, or an archive without a manifest (``half``), is kept, and why or why not."""

    copy: C
    half: bool
    keep: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Removal(Generic[C]):
    """What became of a copy that was to go: it is removed, or S3 refused with an error."""

    decision: Decision[C]
    error: StoreError | None = None
    versions_stay: bool = False
    """Whether the bucket keeps what was removed, as versions that no listing shows."""


def furthest_proven(read: Iterable[tuple[Copy, Manifest | DamagedCopy]]) -> frozenset[Copy]:
    """Of the proven copies of each swarm that may be its newest, the one that is committed furthest."""
    swarms: defaultdict[tuple[str, str], dict[Copy, Manifest]] = defaultdict(dict)
    for copy, manifest in read:
        if not isinstance(manifest, DamagedCopy) and manifest.restores_proven:
            swarms[manifest.cluster_id, manifest.ca_sha256][copy] = manifest
    return frozenset(filter(None, map(furthest, swarms.values())))


def candidate(
    copy: Copy,
    manifest: Manifest | DamagedCopy,
    mark: Keep | None,
    owners: Owners = NOBODY_RENAMED,
    reach: Collection[Copy] = (),
) -> Candidate[Copy]:
    """What the rules know of a copy. ``reach`` are the copies that are `furthest_proven`."""
    if isinstance(manifest, DamagedCopy):
        return Candidate(copy, fault=manifest.why, mark=mark)
    proven = manifest.verdict is Verdict.PROVEN and manifest.kind in WITH_INVENTORY
    owner, ca = owners.of(manifest), manifest.ca_sha256
    fault = "its CA is not the swarm's" if manifest.strange else copy.clock
    renamed = "" if owner == copy.owner else owner
    swarm, far = manifest.cluster_id, copy in reach
    return Candidate(copy, swarm, renamed, proven, far, fault, mark=mark, sites=copy.sites, signer=ca)


def decide(policy: Retention | None, candidates: Iterable[Candidate[C]], now: datetime) -> tuple[Decision[C], ...]:
    """What is kept and what is removed, newest first. Without a policy everything is kept."""
    ordered = sorted(candidates, key=lambda one: (one.copy.taken, one.copy.key), reverse=True)
    if policy is None:
        return tuple(Decision(one.copy, one.half, True, (NOT_SET,)) for one in ordered)
    sound = [one for one in ordered if not (one.half or one.fault)]
    groups, swarms = _grouped(sound, lambda one: one.group), _grouped(sound, lambda one: one.cluster)
    keeping: defaultdict[Candidate[C], list[str]] = defaultdict(list)
    for one in ordered:
        keeping[one] += _standing(one, policy, now)
    for group in groups:
        for one, reason in _ruled(policy, group):
            keeping[one].append(reason)
    for swarm in swarms:
        for one, reason in _ruled(policy.cluster, swarm):
            keeping[one].append(f"by the cluster's rules, {reason}")
    last = _newest_proven(sound, lambda one: one.cluster)
    for one in last:
        keeping[one].append(f"the newest proven copy of swarm {one.swarm}")
    for one in (one for one in sound if one.furthest and one not in last):
        keeping[one].append(f"the proven copy of swarm {one.swarm} that is committed furthest")
    newest = _newest_proven(sound, lambda one: one.group)
    for one in newest:
        keeping[one].append(f"the newest proven copy of {one.owner}")
    for site in sorted({site for one in sound for site in one.sites}):
        for one in _newest_proven([one for one in sound if site in one.sites], lambda one: one.group):
            if one not in newest:
                keeping[one].append(f"the newest proven copy of {one.owner} at the {site} site")
    for group in groups:
        wanting = policy.minimum - sum(bool(keeping[one]) for one in group)
        rest = sorted((one for one in group if not keeping[one]), key=lambda one: not one.proven)
        for one in rest[: max(wanting, 0)]:
            keeping[one].append(f"{one.owner} keeps at least {policy.minimum} copies")
    return tuple(
        Decision(one.copy, one.half, bool(keeping[one]), tuple(keeping[one]) or (_why_not(one, policy),))
        for one in ordered
    )


def _standing(one: Candidate[C], policy: Retention, now: datetime) -> Iterator[str]:
    """What keeps a copy, whichever others there are."""
    if one.mark:
        yield f"marked: {one.mark.text}"
    if one.fault:
        yield f"no rule removes a copy that cannot be judged: {one.fault}"
    if now - (one.stored or one.copy.taken) < timedelta(hours=policy.grace_hours):
        upload = ", and its upload may still run" if one.half else ""
        yield f"younger than {policy.grace_hours} h{upload}"


def _grouped(ordered: Iterable[Candidate[C]], key: Callable[[Candidate[C]], Any]) -> list[tuple[Candidate[C], ...]]:
    return [tuple(group) for _, group in groupby(sorted(ordered, key=key), key)]


def _ruled(rules: RetentionRules, group: Sequence[Candidate[C]]) -> Iterator[tuple[Candidate[C], str]]:
    """What the rules keep of a group, which is newest first."""
    for one in group[: rules.last]:
        yield one, f"among the last {rules.last}"
    for rule, name in PERIODS.items():
        periods = groupby(group, lambda one: name(one.copy.taken.astimezone(UTC)))  # noqa: B023 - used at once
        for period, copies in islice(periods, getattr(rules, rule)):
            yield min(copies, key=lambda one: not one.proven), f"{rule}: {period}"


def _newest_proven(ordered: Iterable[Candidate[C]], key: Callable[[Candidate[C]], object]) -> Collection[Candidate[C]]:
    found: dict[object, Candidate[C]] = {}
    for one in ordered:
        if one.proven:
            found.setdefault(key(one), one)
    return found.values()


def _why_not(one: Candidate[C], policy: Retention) -> str:
    if one.half:
        return f"an archive without a manifest, older than {policy.grace_hours} h: its upload was interrupted"
    own, cluster = _counts(policy), _counts(policy.cluster)
    return f"no rule keeps it ({own}{'; cluster: ' if cluster else ''}{cluster})"


def _counts(rules: RetentionRules) -> str:
    counts = {rule: getattr(rules, rule) for rule in ("last", *PERIODS)}
    return ", ".join(f"{rule} {count}" for rule, count in counts.items() if count)
