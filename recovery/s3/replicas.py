"""Objects that are stored at both sites: the first good one is read, and a note names each damaged one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from recovery.errors import DamagedCopy, SiteSkipped, UnreadCopy
from recovery.s3.site import Listed, Site

F = TypeVar("F")
T = TypeVar("T")


@dataclass(frozen=True)
class Replicas:
    """Which objects of copies were found damaged at which site."""

    maker: str
    """The command that makes a copy at both sites."""
    remedy: str
    """What to do if no site holds a good object."""
    _damaged: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """The objects that are damaged at one site and were read from another."""
        return tuple(self._damaged.values())

    def first_good(self, copy: str, what: str, held: Iterable[tuple[Site, F]], check: Callable[[F], T]) -> T:
        """The result of ``check`` for the first site whose object passes it; damaged ones before that are noted.

        Raises: DamagedCopy when no site has a good object; UnreadCopy when ``held`` says that a site was skipped which may
        have it; StoreError.
        """
        damaged: dict[str, DamagedCopy] = {}
        try:
            for site, found in held:
                try:
                    good = check(found)
                except DamagedCopy as error:
                    damaged[site.name] = error
                    continue
                for other, fault in damaged.items():
                    self._damaged[copy, what] = (
                        f"the {what} of {copy} is damaged at the {other} site ({fault.why}). Requorum reads it from the "
                        f"{site.name} site. To store a new copy at both: {self.maker}"
                    )
                return good
        except SiteSkipped as error:
            raise _unread(copy, what, error) from None
        for fault in damaged.values():
            raise fault
        raise DamagedCopy(
            f"reading {copy}", f"its {what} was removed a moment ago", remedy=self.remedy, code="object-missing"
        )

    def each(self, copy: str, what: str, held: Iterable[tuple[Site, F]]) -> list[F]:
        """What each site has that answers. Raises: UnreadCopy when only a site has it that was skipped; StoreError."""
        found: list[F] = []
        try:
            for _, one in held:
                found.append(one)
        except SiteSkipped as error:
            if not found:
                raise _unread(copy, what, error) from None
        return found

    def whole(self, copy: str, archives: Mapping[str, Listed], size: int) -> tuple[str, ...]:
        """The sites that list the archive of a copy with ``size`` bytes. Raises: DamagedCopy when no site does."""
        if found := tuple(site for site, archive in archives.items() if archive.size == size):
            return found
        sizes = (f"{archive.size} of {size} bytes are there ({site})" for site, archive in archives.items())
        raise DamagedCopy(f"checking {copy}", ", ".join(sizes), remedy=self.remedy, code="copy-damaged")


def _unread(copy: str, what: str, error: SiteSkipped) -> UnreadCopy:
    """The error for a copy of which a site was skipped that alone may have the object."""
    return UnreadCopy(
        f"reading {copy}", f"no other site has its {what}, and {error.why}", remedy=error.remedy, code=error.code
    )
