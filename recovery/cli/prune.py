"""The command that removes copies of managers."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from recovery.cli import pruning
from recovery.cli.console import FileOption, JsonOption, StackOption, YesOption, app, examples, opened, print_json, say
from recovery.cli.show.listing import MANAGER
from recovery.cli.show.pruning import prune_json, uploads_json
from recovery.operations.broken_uploads import list_broken
from recovery.operations.prune import MANAGERS


@app.command("copies prune", epilog=examples("requorum copies prune --dry-run", "requorum copies prune --yes"))
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed and kept.")] = False,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the copies that no rule of requorum:backup.retention keeps. Exit status 3 if S3 refuses to delete one."""
    pruning.require_consent(dry_run=dry_run, yes=yes, as_json=as_json)
    with opened(stack, config_file, as_json=as_json) as cluster:
        now = datetime.now(UTC)
        decisions = MANAGERS.look(cluster, now)
        made = pruning.Prune(MANAGERS, cluster, now, decisions, list_broken(cluster, now, say=say))
        made.run(dry_run=dry_run, yes=yes, as_json=as_json)
        if as_json:
            document = prune_json(cluster.settings.cluster, made.decisions, made.removals, MANAGER, dry_run=dry_run)
            print_json(document | {"uploads": uploads_json(made.broken, dry_run=dry_run)})
    raise typer.Exit(made.exit_code)
