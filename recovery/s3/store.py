"""S3 as one place: a main site, and a second site if the settings name one.

Copies, unlock keys, marks, notes and results of drills are written to both sites (`everywhere`). Short-lived objects
(journal, reports, declarations) are written to the first site that answers.

`Store.look` reads an object from the main site, and from the second if the main site cannot be reached or lacks the object.
That is right for an object that is written once. Of one that is written again, the main site may have an older one, if it
did not answer for a moment: whoever reads it takes the newest of `Store.looks`.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import TypeVar

from recovery.errors import Refused, SiteSkipped, StoreError, StoreSilent
from recovery.s3.bucket import SITES, Bucket
from recovery.s3.client import PATIENT, QUICK
from recovery.s3.site import Listed, Site
from recovery.spans import SKEW

T = TypeVar("T")
GONE_SECONDS = 60.0
"""How long a site that did not answer is not asked again, so that not every step waits for it."""


class Outages:
    """Which sites did not answer within the last `GONE_SECONDS`. The stores of one cluster share it."""

    def __init__(self) -> None:
        self._faults: dict[str, tuple[float, StoreSilent]] = {}

    def of(self, site: Site) -> StoreSilent | None:
        """The error of a site that did not answer lately."""
        since, fault = self._faults.get(site.where, (0.0, None))
        return fault if fault and monotonic() - since < GONE_SECONDS else None

    def begin(self, site: Site, fault: StoreSilent) -> None:
        """Remember that a site did not answer."""
        self._faults[site.where] = (monotonic(), fault)

    def end(self, site: Site) -> None:
        """Forget it: the site has answered."""
        self._faults.pop(site.where, None)


class Store:
    """The sites of the settings, the main one first; ``hasty`` gives up after one short try, for a quick survey.

    `notes` lists why a site was skipped since the store was made. Each method raises StoreError. An error of the
    second site is noted, and raised only if the main site cannot be reached either.
    """

    def __init__(self, buckets: Sequence[Bucket], *, hasty: bool = False, outages: Outages | None = None) -> None:
        self._buckets, self._hasty = buckets, hasty
        self._outages = outages or Outages()
        self._noted: dict[str, str] = {}
        self.sites = self._open(past=False)
        self._past = self._open(past=True) if buckets[0].as_of else self.sites
        self.fault: StoreError | None = None
        """The error for which the last listing, or a later read, skipped a site."""
        self.skipped: dict[str, str] = {}
        """The sites that were skipped since the store was made, and why."""

    def anew(self) -> "Store":
        """The same open sites, with `notes` and a `fault` of their own, for one listing and what is read after it."""
        made = copy(self)
        made.__dict__.pop("then", None)
        made._noted, made.fault, made.skipped = {}, None, {}
        return made

    @cached_property
    def then(self) -> "Store":
        """A store that reads as of requorum:backup.asOf, for copies and unlock keys. Writes are always made now.

        It serves when an attacker or a bug deleted or overwrote copies: a versioned bucket still holds them.
        """
        if (then := self._buckets[0].as_of) is None:
            return self
        made = self.anew()
        made.sites, made._noted = self._past, self._noted
        self._noted["then"] = f"Requorum reads copies as of {then.isoformat()} (requorum:backup.asOf)"
        return made

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the operator: which sites were skipped and why, and what is wrong with the clock."""
        return (*self._noted.values(), *filter(None, [self.clock]))

    @property
    def clock(self) -> str:
        """What is wrong with this machine's clock, according to the answers to writes; empty if nothing is."""
        for site in self.sites:
            if abs(site.skew) > SKEW:
                wrong = f"{abs(site.skew).total_seconds():.0f} s {'ahead of' if site.skew > SKEW else 'behind'}"
                return (
                    f"this machine's clock is {wrong} the {site.name} site's: correct it, or ages of copies are wrong"
                )
        return ""

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key below the prefix, at any site."""
        return tuple(self.listed(prefix))

    def listed(self, prefix: str) -> dict[str, dict[str, Listed]]:
        """Every key below the prefix, with its entry in the listing of each site that has it, by the site's name."""
        self.fault = None
        found: dict[str, dict[str, Listed]] = {}
        for site, listed in self._each(lambda site: site.listed(prefix)):
            for key, entry in listed.items():
                found.setdefault(key, {})[site.name] = entry
        return found

    def get(self, key: str) -> bytes:
        """An object's content. Raises: StoreError, also when there is no such object."""
        if (found := self.look(key)) is None:
            raise self._missing(key)
        return found

    def look(self, key: str) -> bytes | None:
        """A small object's content, or None if no site has it."""
        return next((content for _, content in self.looks(key)), None)

    def looks(
        self, key: str, at: Collection[str] | None = None, *, listed: Collection[str] = ()
    ) -> Iterator[tuple[Site, bytes]]:
        """A small object's content at each site that has it, the main one first. A site is asked when its turn comes.

        With ``at``, only the sites of these names are asked. The sites of the names in ``listed`` have listed the object.
        Raises: SiteSkipped after the last site if one of them does not answer.
        """
        for site, found in self._each(lambda site: site.look(key) if at is None or site.name in at else None, listed):
            if found:
                yield site, found[0]

    def require_whole(self, doing: str) -> None:
        """Check that neither the last listing nor a later read skipped a site. Raises: Refused when one did."""
        if self.fault:
            why = f"{'; '.join(self._noted.values())}. An object that is only there may keep a copy"
            remedy = f"{self.fault.remedy}, then run the same command again"
            raise Refused(doing, why, remedy=remedy, code="site-skipped")

    def download(self, key: str, path: Path) -> None:
        """Download an object into a local file. Raises: StoreError, also when there is no such object."""
        if not any(self.downloads(key, path)):
            raise self._missing(key)

    def downloads(self, key: str, path: Path, *, listed: Collection[str] = ()) -> Iterator[tuple[Site, Path]]:
        """The local file with the object of each site that has it, one after the other: the next replaces the last.

        Raises: as `looks`.
        """
        for site, done in self._each(lambda site: site.download(key, path), listed):
            if done:
                yield site, path

    def put(self, key: str, content: bytes) -> None:
        """Write a small, short-lived object to the first site that answers."""
        next(self._each(lambda site: site.put(key, content)))

    def delete(self, key: str) -> bool:
        """Delete an object at every site; a missing object is no error. Whether a bucket keeps the old version."""
        return True in {kept for _, kept in self._each(lambda site: site.delete(key))}

    def everywhere(self, act: Callable[[Site], object]) -> tuple[str, ...]:
        """Call ``act`` for every site, one after the other; the names of the sites where it succeeded."""
        return tuple(site.name for site, _ in self._each(act))

    def require_lock(self) -> None:
        """If the settings ask for locked copies, check that each site can lock. Raises: StoreError."""
        if self._buckets[0].lock:
            self.everywhere(lambda site: site.require_lock())

    def _each(self, act: Callable[[Site], T], listed: Collection[str] = ()) -> Iterator[tuple[Site, T]]:
        """The sites with the results of ``act``, the main one first. Raises: SiteSkipped as `looks`."""
        answered, fault, skipped = False, None, None
        for site in self.sites:
            try:
                answer = self.ask(site, act)
            except StoreError as error:
                if len(self.sites) == 1 or not (isinstance(error, StoreSilent) or site.name == "second"):
                    raise
                self._note(site, error)
                self.fault = fault = fault or error
                if site.name in listed:
                    why = f"the {site.name} site is skipped: {error.why}"
                    skipped = skipped or SiteSkipped(error.doing, why, remedy=error.remedy, code=error.code)
                continue
            answered = True
            yield site, answer
        if fault and not answered:
            raise fault
        if skipped:
            raise skipped

    def ask(self, site: Site, act: Callable[[Site], T]) -> T:
        """Call ``act`` for one site, unless that site did not answer within the last `GONE_SECONDS`."""
        if len(self.sites) == 1:
            return act(site)
        if fault := self._outages.of(site):
            raise fault
        try:
            answer = act(site)
        except StoreSilent as error:
            if not self._hasty:
                self._outages.begin(site, error)
            raise
        self._outages.end(site)
        return answer

    def _note(self, site: Site, error: StoreError) -> None:
        silent = isinstance(error, StoreSilent)
        why = error.why if silent else f"{error.doing}: {error.why}"
        self.skipped.setdefault(site.name, why)
        self._noted.setdefault(site.name if silent else why, f"the {site.name} site is skipped: {why}")

    def _missing(self, key: str) -> StoreError:
        where = " or ".join(site.where for site in self.sites)
        return StoreError(
            f"reading {key} from {where}",
            "there is no such object",
            remedy="list the copies: requorum copies list",
            code="object-missing",
        )

    def _open(self, *, past: bool) -> tuple[Site, ...]:
        main, pace = self._buckets[0], QUICK if self._hasty else PATIENT
        then = main.as_of if past else None
        sites = zip(SITES, self._buckets, strict=False)
        return tuple(Site(bucket, at=at, prefix=main.prefix, pace=pace, then=then) for at, bucket in sites)
