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


@app.command("policy", epilog=examples("requorum policy > policy.json", "requorum policy --second"))
def show_policy(
    second: Annotated[bool, typer.Option("--second", help="Print the policy of the second site.")] = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Print the S3 policy that the nodes' credentials need."""
    with opened(stack, config_file) as cluster:
        settings = cluster.settings
        sites = settings.backup.sites
        if second and len(sites) < 2:
            raise SettingError(
                "backup.second", "is not set", remedy="run requorum policy without --second", code="setting-missing"
            )
        managers = [manager.name for manager in settings.managers]
        print(json.dumps(policy.of_nodes(sites[int(second)], settings.cluster, managers), indent=2))
