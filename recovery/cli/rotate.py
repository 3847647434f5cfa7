"""Commands that rotate the secrets of the swarm. None of them prints a secret."""

from typing import Annotated

import typer

from recovery.cli.console import FileOption, StackOption, YesOption, agree, app, examples, opened, out, say
from recovery.cli.progress import progress
from recovery.cluster import Cluster
from recovery.operations import rotate, rotate_ca
from recovery.swarm.machines import Role

ROTATED = "the secret may be rotated already. next: run the same command again"
NOT_FINISHED = "the swarm goes on with what it began. next: run the same command again, which finishes it"


@app.command(
    "rotate worker-token", epilog=examples("requorum rotate worker-token", "requorum rotate worker-token --yes")
)
def worker_token(yes: YesOption = False, stack: StackOption = "", config_file: FileOption = None) -> None:
    """Make a new join token for workers. The old one no longer works. Then copy the managers."""
    with opened(stack, config_file, interrupted=ROTATED) as cluster:
        _token(cluster, "worker", yes)


@app.command(
    "rotate manager-token", epilog=examples("requorum rotate manager-token", "requorum rotate manager-token --yes")
)
def manager_token(yes: YesOption = False, stack: StackOption = "", config_file: FileOption = None) -> None:
    """Make a new join token for managers. The old one no longer works. Then copy the managers."""
    with opened(stack, config_file, interrupted=ROTATED) as cluster:
        _token(cluster, "manager", yes)


@app.command("rotate unlock-key", epilog=examples("requorum rotate unlock-key", "requorum rotate unlock-key --yes"))
def unlock_key(yes: YesOption = False, stack: StackOption = "", config_file: FileOption = None) -> None:
    """Make a new unlock key, store it in escrow, and copy the managers. Escrow keeps the old key for older copies."""
    with opened(stack, config_file, interrupted=NOT_FINISHED) as cluster:
        with progress("asking the nodes"):
            rotate.check(cluster, autolocked=True)
        agree("make a new unlock key for the swarm", yes)
        with progress("rotating the unlock key"):
            key = rotate.rotate_unlock_key(cluster, say=say)
        out.print(
            f"the unlock key is {key.fingerprint}, and it is in escrow. Its text: docker swarm unlock-key on a manager"
        )


@app.command(
    "rotate ca", epilog=examples("requorum rotate ca", "requorum rotate ca --without worker-2 --without worker-3")
)
def ca(
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="A node that is down. It leaves the swarm, and must join again."),
    ] = None,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Rotate the swarm's CA, wait until every node has a new certificate, and copy the managers under the new CA."""
    with opened(stack, config_file, interrupted=NOT_FINISHED) as cluster:
        with progress("asking the nodes"):
            lines = rotate_ca.check(cluster, without or ())
        agree("; ".join(lines), yes)
        with progress("rotating the CA"):
            new = rotate_ca.rotate(cluster, without or (), say=say)
        out.print(f"the swarm's CA is {new.sha256}. Proven copies under it: {', '.join(new.copied)}")
        if (pinned := cluster.settings.ca_sha256) and new.sha256 not in pinned:
            say(f"the stack file still names another CA. Set requorum:caSha256 to {new.sha256}")
        out.print("next: pulumi up, so that the Pulumi state knows the CA")


def _token(cluster: Cluster, role: Role, yes: bool) -> None:
    with progress("asking the nodes"):
        rotate.check(cluster)
    agree(f"make a new {role} token for the swarm", yes)
    with progress(f"rotating the {role} token"):
        rotate.rotate_token(cluster, role, say=say)
    out.print(f"the {role} token is new, and the old one no longer works")
