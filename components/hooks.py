"""Resource hooks: actions before and after the update of a resource."""

import pulumi

from components.progress import note, say
from recovery.cluster import Cluster
from recovery.operations import lifecycle
from recovery.operations.hosts import clear
from recovery.planning.steps import Action
from recovery.steps import journal
from recovery.steps.entry import Entry
from recovery.swarm.machines import Node


def around_host(cluster: Cluster, node: Node, *, empty: bool) -> pulumi.ResourceHookBinding:
    """Record in the journal that Pulumi makes a machine, and first remove an unrecorded container of a killed update.

    ``empty`` says that the node's container may be such a container.
    """
    begun: list[Entry] = []

    def before(_args: pulumi.ResourceHookArgs) -> None:
        begun.append(journal.begin(cluster, Action.REBUILD, node.name, say))
        if empty and clear(cluster.settings, node):
            say(f"{node.name}: removed the empty container that an interrupted update left")

    def after(_args: pulumi.ResourceHookArgs) -> None:
        journal.end(cluster, begun.pop(), say)

    return pulumi.ResourceHookBinding(
        before_create=[pulumi.ResourceHook(f"before-host-{node.address}", before)],
        after_create=[pulumi.ResourceHook(f"after-host-{node.address}", after)],
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
                note(line)
        return False

    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("explain", explain)])
