"""Resource hooks: actions before and after the update of a resource."""

from collections.abc import Collection

import pulumi

from components.progress import say
from recovery.cluster import Cluster
from recovery.operations import lifecycle
from recovery.operations.hosts import clear
from recovery.planning.steps import Action
from recovery.steps import journal
from recovery.steps.entry import Entry


def around_host(cluster: Cluster, empty: Collection[str]) -> pulumi.ResourceHookBinding:
    """Record in the journal that Pulumi makes a machine, and first remove an unrecorded container of a killed update.

    ``empty`` names the nodes whose container may be such a container.
    """
    begun: dict[str, Entry] = {}

    def before(args: pulumi.ResourceHookArgs) -> None:
        begun[args.name] = journal.begin(cluster, Action.REBUILD, args.name, say)
        if args.name in empty and clear(cluster.settings, cluster.settings.node(args.name)):
            say(f"{args.name}: removed the empty container that an interrupted update left")

    def after(args: pulumi.ResourceHookArgs) -> None:
        journal.end(cluster, begun[args.name], say)

    return pulumi.ResourceHookBinding(
        before_create=[pulumi.ResourceHook("before-host", before)],
        after_create=[pulumi.ResourceHook("after-host", after)],
    )


def before_proof(cluster: Cluster) -> pulumi.ResourceHookBinding:
    """Copy every manager when all nodes are members. Earlier copies do not hold the changes of the update.

    Requorum takes the copies before the proof, while containers still start.
    """

    def take_copies(_args: pulumi.ResourceHookArgs) -> None:
        lifecycle.fresh_copies(cluster, say=say)

    hook = pulumi.ResourceHook("fresh-copies", take_copies)
    return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])


def on_error(cluster: Cluster) -> pulumi.ResourceHookBinding:
    """If the quorum or the join of a node fails, print the state, once for all failures. The error follows, with the next command."""
    explained: list[str] = []

    def explain(_args: pulumi.ErrorHookArgs) -> bool:
        if not explained:
            explained.extend(lifecycle.explain(cluster, say=say))
            for line in explained:
                pulumi.log.info(line)
        return False

    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("explain", explain)])
