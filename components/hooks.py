"""Resource hooks: what happens around an update, bound to the resources it belongs to."""

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
    """The journal of a machine that is made. A container that an update made, and was killed before writing that down,
    is removed first: ``empty`` names those that may be such ones."""
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
    """A fresh copy of every manager once all are members: the copies from before do not know what was changed.

    It is taken before the proof, while the workers still find their way back.
    """

    def take_copies(_args: pulumi.ResourceHookArgs) -> None:
        lifecycle.fresh_copies(cluster, say=say)

    hook = pulumi.ResourceHook("fresh-copies", take_copies)
    return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])


def on_error(cluster: Cluster) -> pulumi.ResourceHookBinding:
    """Where giving the cluster a quorum fails, or a node to join it, the diagnosis and what to run next: once, however many fail."""
    explained: list[str] = []

    def explain(_args: pulumi.ErrorHookArgs) -> bool:
        if not explained:
            explained.extend(lifecycle.explain(cluster, say=say))
            for line in explained:
                pulumi.log.error(line)
        return False

    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("explain", explain)])
