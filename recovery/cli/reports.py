"""Commands for the reports of recoveries, and for notifications."""

from typing import Annotated

import typer

from recovery.cli.console import FileOption, JsonOption, StackOption, app, opened, out, print_json
from recovery.cli.show.contract import ERROR, FINE
from recovery.cli.show.reports import listing_json, table
from recovery.operations import notify, reports
from recovery.operations.page import as_markdown


@app.command("reports")
def list_reports(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List the reports of all recoveries and other changes of the swarm, newest first."""
    with opened(stack, config_file, as_json=as_json) as cluster:
        found = reports.every(cluster)
        if as_json:
            print_json(listing_json(cluster.settings.cluster, found))
        elif found:
            out.print(table(found))
        else:
            out.print(f"cluster {cluster.settings.cluster} has no reports")


@app.command("report")
def show_report(
    name: Annotated[str, typer.Argument(help="The name of the report. Default: the newest.")] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print one report: the losses, the steps and their times, and the result of the proof."""
    with opened(stack, config_file, as_json=as_json) as cluster:
        document = reports.load(cluster, name)
        if as_json:
            print_json(dict(document))
        else:
            print(as_markdown(document), end="")


@app.command("notify")
def rehearse(stack: StackOption = "", config_file: FileOption = None) -> None:
    """Send a test message to the services of requorum:notify."""
    with opened(stack, config_file) as cluster:
        arrived = notify.rehearse(cluster)
        out.print("every service accepted the message" if arrived else "not every service accepted the message")
    raise typer.Exit(FINE if arrived else ERROR)
