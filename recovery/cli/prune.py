"""The command that removes copies of managers."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from recovery.cli import pruning
from recovery.cli.console import (
    FileOption,
    JsonOption,
    StackOption,
    WideOption,
    YesOption,
    app,
    examples,
    opened,
    print_json,
    say,
)
from recovery.cli.progress import progress
from recovery.cli.show.listing import MANAGER
from recovery.cli.show.pruning import prune_json, uploads_json
from recovery.operations.broken_uploads import list_broken
from recovery.operations.prune import MANAGERS


@app.command("copies prune", epilog=examples("requorum copies prune --dry-run", "requorum copies prune --yes"))
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed and kept.")] = False,
    yes: YesOption = False,
    wide: WideOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the copies that no rule of requorum:backup.retention keeps. Exit status 3 if S3 refuses to delete one."""
    pruning.require_consent(dry_run=dry_run, yes=yes, as_json=as_json)
    interrupted = "what was removed stays removed. next: requorum copies prune goes on"
    with opened(stack, config_file, as_json=as_json, interrupted=interrupted) as cluster:
        now = datetime.now(UTC)
        with progress("reading the manifests", as_json=as_json):
            decisions = MANAGERS.look(cluster, now)
        broken = list_broken(cluster, now, say=say)
        made = pruning.Prune(MANAGERS, cluster, now, decisions, broken, owner=MANAGER, wide=wide)
        made.run(dry_run=dry_run, yes=yes, as_json=as_json)
        if as_json:
            document = prune_json(cluster.settings.cluster, made.decisions, made.removals, MANAGER, dry_run=dry_run)
            print_json(document | {"uploads": uploads_json(made.broken, dry_run=dry_run)})
    raise typer.Exit(made.exit_code)
