"""S3 as one place, of a main site and perhaps a second one.

Copies, unlock keys, marks and results of drills are written to both (`everywhere`). Everything is read from the main
site, and from the second where that cannot be reached or lacks it. What is only for now (journal, reports, words) is written to the
first site that answers.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import TypeVar

from recovery.errors import Refused, StoreError, StoreSilent
from recovery.s3.bucket import SITES, Bucket
from recovery.s3.client import PATIENT, QUICK
from recovery.s3.clock import SKEW
from recovery.s3.site import Listed, Site

T = TypeVar("T")
GONE_SECONDS = 60.0
"""For how long a main site that did not answer is not asked again, so that not every step waits for it."""
_gone: dict[str, tuple[float, StoreSilent]] = {}


class Store:
    """The sites of the settings, the main one first; ``hasty`` gives up after one short try, for a look that must not take long.

    `notes` tells what kept a site from its part since the store was made. Each method raises StoreError: what the
    second site refuses is noted and raised only where the main site cannot be reached either.
    """

    def __init__(self, buckets: Sequence[Bucket], *, hasty: bool = False) -> None:
        self._buckets, self._hasty = buckets, hasty
        self._noted: dict[str, str] = {}
        self.sites = self._open(past=False)
        self.fault: StoreError | None = None
        """Why the last listing, or what was read since, lacks what one of the sites holds."""

    @cached_property
    def then(self) -> "Store":
        """The same, reading as of requorum:backup.asOf: what copies and unlock keys are read by. Writes are of now.

        For when an attacker or a bug deleted or overwrote copies: a versioned bucket still holds them.
        """
        if (then := self._buckets[0].as_of) is None:
            return self
        made = Store(self._buckets, hasty=self._hasty)
        made.sites, made._noted = self._open(past=True), self._noted
        self._noted["then"] = f"copies are read as of {then.isoformat()} (requorum:backup.asOf)"
        return made

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should know about where things were read and written."""
        return (*self._noted.values(), *filter(None, [self.clock]))

    @property
    def clock(self) -> str:
        """What is wrong with the clock here, going by the answers to writes; empty where nothing is."""
        for site in self.sites:
            if abs(site.skew) > SKEW:
                wrong = f"{abs(site.skew).total_seconds():.0f} s {'ahead of' if site.skew > SKEW else 'behind'}"
                return f"the clock here is {wrong} the {site.name} site's: set it, or the age of copies is told wrong"
        return ""

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key below the prefix, on whichever site."""
        return tuple(self.listed(prefix))

    def listed(self, prefix: str) -> dict[str, dict[str, Listed]]:
        """Every key below the prefix, the names of the sites that hold it, and what their listings tell of it."""
        self.fault = None
        found: dict[str, dict[str, Listed]] = {}
        for site, listed in self._each(lambda site: site.listed(prefix)):
            for key, entry in listed.items():
                found.setdefault(key, {})[site.name] = entry
        return found

    def get(self, key: str) -> bytes:
        """An object's content; that there is none is an error."""
        if (found := self.look(key)) is None:
            raise self._missing(key)
        return found

    def look(self, key: str) -> bytes | None:
        """A small object's content, or None where there is none."""
        return next((content for _, content in self.looks(key)), None)

    def looks(self, key: str, at: Collection[str] | None = None) -> Iterator[tuple[Site, bytes]]:
        """A small object's content at each site that has it, the main one first; no site is asked before its turn.

        ``at`` names the only ones that are asked.
        """
        for site, found in self._each(lambda site: site.look(key) if at is None or site.name in at else None):
            if found:
                yield site, found[0]

    def require_whole(self, doing: str) -> None:
        """Have made sure that no site was left out of the last listing, nor of what was read since. Raises: Refused."""
        if self.fault:
            why = f"{'; '.join(self._noted.values())}: what lies there may be what keeps a copy"
            raise Refused(doing, why, remedy=f"{self.fault.remedy}; then the same command again")

    def download(self, key: str, path: Path) -> None:
        """An object's content into a local file; that there is none is an error."""
        if not any(self.downloads(key, path)):
            raise self._missing(key)

    def downloads(self, key: str, path: Path) -> Iterator[tuple[Site, Path]]:
        """The local file with an object's content from each site that has it, as `looks`: the next one's replaces it."""
        for site, done in self._each(lambda site: site.download(key, path)):
            if done:
                yield site, path

    def put(self, key: str, content: bytes) -> None:
        """Write a small object that is for now to the first site that answers."""
        next(self._each(lambda site: site.put(key, content)))

    def delete(self, key: str) -> bool:
        """Remove an object from every site; one that is not there is no error. Whether a bucket keeps what was there as a version."""
        return True in {kept for _, kept in self._each(lambda site: site.delete(key))}

    def everywhere(self, act: Callable[[Site], object]) -> tuple[str, ...]:
        """Do something at every site, one after the other; the names of those where it was done."""
        return tuple(site.name for site, _ in self._each(act))

    def require_lock(self) -> None:
        """Have made sure that copies can be locked, where that is asked for."""
        if self._buckets[0].lock:
            self.everywhere(lambda site: site.require_lock())

    def _each(self, act: Callable[[Site], T]) -> Iterator[tuple[Site, T]]:
        """What the sites answer, the main one first."""
        answered, fault = False, None
        for site in self.sites:
            try:
                answer = self.ask(site, act)
            except StoreError as error:
                if len(self.sites) == 1 or not (isinstance(error, StoreSilent) or site.name == "second"):
                    raise
                self._note(site, error)
                self.fault = fault = fault or error
                continue
            answered = True
            yield site, answer
        if fault and not answered:
            raise fault

    def ask(self, site: Site, act: Callable[[Site], T]) -> T:
        """Do something at one of the sites, whatever becomes of the other."""
        if len(self.sites) == 1:
            return act(site)
        since, fault = _gone.get(site.where, (0.0, None))
        if fault and monotonic() - since < GONE_SECONDS:
            raise fault
        try:
            answer = act(site)
        except StoreSilent as error:
            if not self._hasty:
                _gone[site.where] = (monotonic(), error)
            raise
        _gone.pop(site.where, None)
        return answer

    def _note(self, site: Site, error: StoreError) -> None:
        silent = isinstance(error, StoreSilent)
        why = error.why if silent else f"{error.doing}: {error.why}"
        self._noted.setdefault(site.name if silent else why, f"the {site.name} site is left out: {why}")

    def _missing(self, key: str) -> StoreError:
        where = " or ".join(site.where for site in self.sites)
        return StoreError(f"reading {key} from {where}", "there is no such object", remedy="requorum backups")

    def _open(self, *, past: bool) -> tuple[Site, ...]:
        main, pace = self._buckets[0], QUICK if self._hasty else PATIENT
        then = main.as_of if past else None
        sites = zip(SITES, self._buckets, strict=False)
        return tuple(Site(bucket, at=at, prefix=main.prefix, pace=pace, then=then) for at, bucket in sites)
