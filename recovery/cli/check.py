"""The command that checks whether a recovery from here would work."""

import typer

from recovery.cli.console import FileOption, JsonOption, StackOption, app, opened, out, print_json
from recovery.cli.show import check as show
from recovery.cli.status import status_of


@app.command()
def check(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Check whether a recovery from here would work if all managers were lost now. One line for each condition.

    Each line says OK, FAILED or UNKNOWN, and the limit in brackets. Changes nothing. Exit status as of status: 0 if every
    condition is met, 1 if one is not known, 3 if one failed, 4 quorum lost, 5 not seen from here.
    """
    with opened(stack, config_file, as_json=as_json) as cluster:
        now = status_of(cluster)
        if as_json:
            print_json(show.as_json(now))
        else:
            out.print("\n".join(show.lines(now)), markup=False)
    raise typer.Exit(now.exit_code)
