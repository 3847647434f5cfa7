"""What an S3 site offers, as a table and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from recovery.cli.screen import styled
from recovery.cli.show.contract import DEGRADED, ERROR, FINE, VERSION
from recovery.s3.capability import REACHABLE, Capabilities, ProbeResult

SEVERITY = (FINE, DEGRADED, ERROR)


def exit_code(found: Capabilities) -> int:
    """Of the contract: degraded when the site lacks what the settings need, error when the site cannot be used."""
    return ERROR if REACHABLE in found.lacking else DEGRADED if found.lacking else FINE


def as_json(cluster: str, found: Sequence[Capabilities]) -> dict[str, Any]:
    """The features of all sites, as the JSON contract has them."""
    sites = [
        {
            "site": one.site,
            "where": one.where,
            "offers": [
                {"what": offer.what, "answer": str(offer.answer), "detail": offer.detail, "neededBy": offer.needed}
                for offer in one.offers
            ],
        }
        for one in found
    ]
    return {"version": VERSION, "cluster": cluster, "sites": sites}


def table(found: Capabilities) -> Table:
    """The features of one site, as a table."""
    shown = Table(box=None, title=f"{found.site} site: {found.where}", title_justify="left")
    for heading in ("offered", "answer", "needed by", "detail"):
        shown.add_column(heading)
    for offer in found.offers:
        colour = "green" if offer.answer is ProbeResult.YES else "red" if offer.needed else "yellow"
        shown.add_row(offer.what, styled(offer.answer, colour), offer.needed, offer.detail)
    return shown
