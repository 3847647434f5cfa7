"""Objects that lie at both sites: the first that is good is read, and it is told where one is not."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from recovery.errors import DamagedCopy
from recovery.s3.site import Listed, Site

F = TypeVar("F")
T = TypeVar("T")


@dataclass(frozen=True)
class Replicas:
    """What a reading of copies found of their objects at the sites."""

    maker: str
    """The command that makes a copy at both sites."""
    remedy: str
    """What to do where no site holds a good one."""
    _damaged: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which objects are damaged at one site and were read at another."""
        return tuple(self._damaged.values())

    def first_good(self, copy: str, what: str, held: Iterable[tuple[Site, F]], check: Callable[[F], T]) -> T:
        """What the check makes of the first of what the sites hold of a copy that is not damaged; it is noted whose is.

        Raises: DamagedCopy where there is none; StoreError.
        """
        damaged: dict[str, DamagedCopy] = {}
        for site, found in held:
            try:
                good = check(found)
            except DamagedCopy as error:
                damaged[site.name] = error
                continue
            for other, fault in damaged.items():
                self._damaged[copy, what] = (
                    f"the {what} of {copy} is damaged at the {other} site ({fault.why}), and read at the {site.name} one: "
                    f"{self.maker} makes a new copy at both"
                )
            return good
        for fault in damaged.values():
            raise fault
        raise DamagedCopy(f"reading {copy}", f"its {what} was removed a moment ago", remedy=self.remedy)

    def whole(self, copy: str, archives: Mapping[str, Listed], size: int) -> tuple[str, ...]:
        """The sites whose archive of a copy is ``size`` bytes long, as their listings have it. Raises: DamagedCopy where none is."""
        if found := tuple(site for site, archive in archives.items() if archive.size == size):
            return found
        sizes = (f"{archive.size} of {size} bytes are there ({site})" for site, archive in archives.items())
        raise DamagedCopy(f"looking at {copy}", ", ".join(sizes), remedy=self.remedy)
