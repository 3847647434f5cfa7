"""Commands for the reports of recoveries, and for notifications."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from recovery.cli.console import (
    FileOption,
    HtmlOption,
    JsonOption,
    StackOption,
    WideOption,
    app,
    examples,
    give_page,
    opened,
    out,
    print_json,
    require_compatible,
    say,
)
from recovery.cli.progress import progress
from recovery.cli.show.contract import ERROR, FINE
from recovery.cli.show.reports import listing_json, table
from recovery.cluster import Cluster
from recovery.errors import SettingError
from recovery.operations import notify, reports
from recovery.operations.page.markdown import as_markdown


@app.command(
    "reports",
    epilog=examples(
        "requorum reports",
        "requorum reports --newest",
        "requorum reports --html report.html",
        "requorum reports --month 2026-01 --html month.html",
    ),
)
def show_reports(
    name: Annotated[str, typer.Argument(help="The name of a report to print. Default: list all reports.")] = "",
    newest: Annotated[bool, typer.Option("--newest", help="Print the newest report.")] = False,
    month: Annotated[
        str, typer.Option("--month", metavar="YEAR-MONTH", help="With --html or --json: one month, for an auditor.")
    ] = "",
    html: HtmlOption = None,
    wide: WideOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the reports of recoveries and other changes of the swarm, or print one.

    The list has the newest first. `--html` writes the page of one report, without a name of the newest. A report tells the losses, the steps and their times, and the result of the proof.
    `--month` has the availability of the quorum, the age of the copies, drills and recoveries of one month.
    """
    require_compatible(html=html, json=as_json)
    if name and month:
        raise typer.BadParameter("name a report, or give --month")
    with opened(stack, config_file, as_json=as_json) as cluster:
        if month:
            _of_month(cluster, month, html, as_json=as_json)
            return
        if html:
            _write(cluster, name, html)
            return
        if name or newest:
            _print(cluster, name, as_json=as_json)
            return
        with progress("reading the reports", as_json=as_json):
            found, unreadable = reports.every(cluster)
        if as_json:
            print_json(listing_json(cluster.settings.cluster, found))
        elif found:
            out.print(table(found, wide=wide))
        else:
            out.print(f"cluster {cluster.settings.cluster} has no reports")
        for one in unreadable:
            say(f"report {one} cannot be read, and is left out")


@app.command("notify", epilog=examples("requorum notify", "requorum notify --stack production"))
def rehearse(stack: StackOption = "", config_file: FileOption = None) -> None:
    """Send a test message to the services of requorum:notify."""
    with opened(stack, config_file) as cluster:
        with progress("sending the message"):
            arrived = notify.rehearse(cluster)
        out.print("every service accepted the message" if arrived else "not every service accepted the message")
    raise typer.Exit(FINE if arrived else ERROR)


def _of_month(cluster: Cluster, text: str, html: Path | None, *, as_json: bool) -> None:
    """Write the page of one month, or print its JSON. Raises: SettingError, StoreError, LocalError."""
    from recovery.operations import month  # loads the catalog, and templates: only for who asks for a month
    from recovery.operations.page import month as page_of_month

    if not (html or as_json):
        remedy = f"requorum reports --month {text} --html month.html"
        raise SettingError(
            "(--month)", "a month is a page or JSON, and neither is asked for", remedy=remedy, code="bad-argument"
        )
    with progress("reading copies, reports and histories", as_json=as_json):
        document = month.of(cluster, text, datetime.now(UTC))
    if as_json:
        print_json(document)
    elif html:
        give_page(html, page_of_month.page(document))


def _write(cluster: Cluster, name: str, file: Path) -> None:
    """Write the page of the report of that name, or of the newest. Raises: StoreError, LocalError."""
    give_page(file, reports.page(cluster, name))


def _print(cluster: Cluster, name: str, *, as_json: bool) -> None:
    """Print the report of that name, or the newest: as Markdown, laid out on a terminal."""
    document = reports.load(cluster, name)
    if as_json:
        print_json(dict(document))
    elif out.is_terminal:
        from rich.markdown import Markdown  # loads a parser of Markdown: only for who reads it here

        out.print(Markdown(as_markdown(document)))
    else:
        print(as_markdown(document), end="")
