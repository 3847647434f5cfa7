"""The features of an S3 server, as the probe found them."""

from dataclasses import dataclass
from enum import StrEnum

REACHABLE = "reachable"


class ProbeResult(StrEnum):
    """Whether the server has a feature."""

    YES = "yes"
    NO = "no"
    IGNORED = "ignored"
    """The server accepted the request and did nothing."""
    UNKNOWN = "unknown"
    """The probe could not find out, for example because a permission is missing."""


@dataclass(frozen=True)
class Capability:
    """One feature of a server; ``needed`` names what needs it, and is empty when nothing does."""

    what: str
    answer: ProbeResult
    detail: str = ""
    needed: str = ""


@dataclass(frozen=True)
class Capabilities:
    """The features of one site."""

    site: str
    where: str
    offers: tuple[Capability, ...]

    @property
    def lacking(self) -> frozenset[str]:
        """What the settings need and the site does not offer; `REACHABLE` when the site cannot be used at all."""
        return frozenset(o.what for o in self.offers if o.needed and o.answer is not ProbeResult.YES)
