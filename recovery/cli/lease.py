"""The command for leases in S3 that are stuck."""

from typing import Annotated

import typer

from recovery.cli.console import FileOption, StackOption, app, examples, opened, show
from recovery.cli.progress import progress
from recovery.cluster import Cluster
from recovery.errors import OptionError
from recovery.s3 import lease
from recovery.s3.lease import Holding


@app.command("lease", epilog=examples("requorum lease", "requorum lease --break 1f0c2a9e"))
def leases(
    broken: Annotated[
        str,
        typer.Option(
            "--break", metavar="ID", help="Take the lease from the holder with this ID. Stop the holder first."
        ),
    ] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """List who holds the leases in S3, or break the lease of a process that never ends.

    A process whose lease is broken stops before its next irreversible step. The ID is the consent: there is no question.
    """
    with opened(stack, config_file) as cluster:
        with progress("reading the leases"):
            held = _held(cluster)
        if not broken:
            show(f"{one.key} at the {one.site} site: {one.whose}, ID {one.id}" for one in held)
            show(() if held else ("nobody holds a lease",))
            return
        if not (chosen := [one for one in held if one.id == broken]):
            raise OptionError(
                "--break", f"nobody with the ID {broken} holds a lease", remedy="requorum lease", code="no-such-name"
            )
        for one in chosen:
            lease.break_off(cluster.store, one)
            show((f"{one.key} at the {one.site} site is free. {one.whose} had it",))


def _held(cluster: Cluster) -> tuple[Holding, ...]:
    keys, store = cluster.settings.keys, cluster.store
    of_data = sorted(key for key in store.keys(keys.data) if key.endswith("/lease.json"))
    return lease.holdings(store, (keys.lease, keys.agents_lease, keys.watch_lease, *of_data))
