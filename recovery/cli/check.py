"""The command that checks whether a recovery from here would work."""

from typing import Annotated

import typer

from recovery.cli.console import FileOption, JsonOption, StackOption, app, examples, opened, out, print_json, say
from recovery.cli.progress import progress
from recovery.cli.show import check as show
from recovery.cli.status import look, shown
from recovery.operations import exposure
from recovery.operations import setup as set_up
from recovery.planning.diagnosis import Kind


@app.command("check", epilog=examples("requorum check", "requorum check --setup"))
def check(
    setup: Annotated[
        bool, typer.Option("--setup", help="Check the set-up too: bucket, machines, recipients, credentials of agents.")
    ] = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check whether a recovery from here would work if all managers were lost now.

    One line for each condition: OK, FAILED or UNKNOWN, and the limit in brackets. Before the swarm is created, the set-up is
    checked. Changes nothing in the swarm. Exit status as of status: 0 if every condition is met, 1 if one is not known, 3 if
    one failed, 4 quorum lost, 5 not seen from here.
    """
    with opened(stack, config_file, as_json=as_json) as cluster:
        with progress("asking the nodes and S3", as_json=as_json):
            seen = look(cluster)
            new = seen.diagnosis.kind is Kind.ABSENT
            conditions = set_up.conditions(cluster, seen.survey) if setup or new else ()
            found = show.check(shown(cluster, seen), conditions)
        for warning in exposure.warnings(cluster.settings):
            say(f"warning: {warning}")
        if as_json:
            print_json(show.as_json(found))
        else:
            out.print("\n".join(show.lines(found)))
    raise typer.Exit(found.exit_code)
