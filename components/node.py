"""Prepares a machine to be a swarm node, as `recovery.planning.preparation` says."""

from datetime import datetime

import pulumi
from pulumi_command import remote

from components.identity import Identities
from recovery.node.ssh_keys import pinned_key, private_key_text
from recovery.planning import preparation
from recovery.settings import Settings
from recovery.swarm.machines import Node

TIME_LIMIT = "10m"


class Preparation(pulumi.ComponentResource):
    """The preparation of one machine. It runs again if the machine is another, or is not as the preparation would leave it.

    What is on the machine decides, and not what the state remembers of the script. ``now`` tells one run from the run before.
    A ``silent`` machine keeps its preparation. A connection to it would only delay the others.
    """

    def __init__(
        self,
        node: Node,
        settings: Settings,
        names: Identities,
        identity: pulumi.Input[str],
        silent: bool,
        wanted: preparation.Preparation,
        now: datetime,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        own = pulumi.ResourceOptions.merge(opts, names.aliases(node, "preparation"))
        super().__init__("requorum:node:Preparation", names.resource(node, "preparation"), None, own)
        again = f"# {now.isoformat()}\n" if wanted.drift else ""
        kept = ["*"] if silent else ["stdin"] if wanted.known and not wanted.drift else None
        command = remote.Command(
            names.resource(node, "prepared"),
            connection=remote.ConnectionArgs(
                host=node.dial,
                port=settings.ssh.port,
                user=settings.ssh.user,
                private_key=pulumi.Output.secret(private_key_text(settings.ssh.private_key_file)),
                host_key=pinned_key(node, settings.ssh),
                dial_error_limit=60,
                per_dial_timeout=3,
            ),
            create="sh -s",
            stdin=wanted.script + again,
            triggers=[identity],
            logging=remote.Logging.STDERR,
            opts=names.aliases(node, "prepared").merge(
                pulumi.ResourceOptions(
                    parent=self,
                    ignore_changes=kept,
                    custom_timeouts=pulumi.CustomTimeouts(create=TIME_LIMIT, update=TIME_LIMIT),
                )
            ),
        )
        self.register_outputs({"identity": identity, "prepared": command.id})
