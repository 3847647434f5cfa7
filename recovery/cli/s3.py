"""Commands for the S3 servers and their credentials."""

import json
from typing import Annotated

import typer

from recovery.cli.console import FileOption, JsonOption, StackOption, app, examples, opened, out, print_json
from recovery.cli.progress import progress
from recovery.cli.show import s3 as show
from recovery.errors import SettingError
from recovery.s3 import policy, probe


@app.command("s3", epilog=examples("requorum s3", "requorum s3 --json"))
def show_offers(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Test what the S3 servers support. The test writes one small object below PREFIX/CLUSTER/probe/ and removes it.

    Exit status: 0 if each server supports all that the settings need, 3 if not, 1 if a server cannot be used.
    """
    with opened(stack, config_file, as_json=as_json) as cluster:
        with progress("testing the S3 servers", as_json=as_json):
            found = probe.probe(cluster.store.sites, cluster.settings.keys.probe)
        if as_json:
            print_json(show.as_json(cluster.settings.cluster, found))
        else:
            for site in found:
                out.print(show.table(site))
            if cluster.settings.backup.second is None:
                out.print("no second site: requorum:backup.second is not set")
    raise typer.Exit(max((show.exit_code(site) for site in found), key=show.SEVERITY.index))


@app.command(
    "policy",
    epilog=examples(
        "requorum policy > policy.json", "requorum policy --manager manager-a", "requorum policy --for prune --second"
    ),
)
def show_policy(
    use: Annotated[policy.Use, typer.Option("--for", help="What the credentials are for.")] = policy.Use.AGENT,
    manager: Annotated[str, typer.Option("--manager", help="Only what the agent of this manager needs.")] = "",
    second: Annotated[bool, typer.Option("--second", help="Print the policy of the second site.")] = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Print the S3 policy that agents, or one command, need."""
    with opened(stack, config_file) as cluster:
        settings = cluster.settings
        sites = settings.backup.sites
        if second and len(sites) < 2:
            raise SettingError(
                "backup.second", "is not set", remedy="run requorum policy without --second", code="setting-missing"
            )
        managers = [node.name for node in settings.managers]
        if manager and (manager not in managers or use is not policy.Use.AGENT):
            raise SettingError(
                "(--manager)",
                f"{manager} is not a manager with an agent" if manager not in managers else "is for agents only",
                remedy=f"name one of {', '.join(managers)}, without --for",
                code="bad-argument",
            )
        print(
            json.dumps(
                policy.of(use, sites[int(second)], settings.cluster, [manager] if manager else managers), indent=2
            )
        )
