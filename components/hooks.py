"""Resource hooks: what happens around an update, bound to the resources it belongs to."""

import pulumi

from components.progress import say
from recovery import hooks, hosts
from recovery.settings import Settings


def before_host(settings: Settings) -> pulumi.ResourceHookBinding:
    """A container that an update made, and was killed before writing that down, is removed before it is made again."""

    def clear(args: pulumi.ResourceHookArgs) -> None:
        if hosts.clear(settings, settings.node(args.name)):
            say(f"{args.name}: removed the empty container that an interrupted update left")

    return pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook("clear", clear)])


def before_proof(settings: Settings) -> pulumi.ResourceHookBinding:
    """A fresh copy of every manager once all are members: the copies from before do not know what was changed.

    It is taken before the proof, while the workers still find their way back.
    """

    def take_copies(_args: pulumi.ResourceHookArgs) -> None:
        hooks.fresh_copies(settings, say=say)

    hook = pulumi.ResourceHook("fresh-copies", take_copies)
    return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])


def on_quorum_error(settings: Settings) -> pulumi.ResourceHookBinding:
    """Where giving the cluster a quorum fails, the diagnosis and what to run next."""

    def explain(_args: pulumi.ErrorHookArgs) -> bool:
        for line in hooks.explain(settings):
            pulumi.log.error(line)
        return False

    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("explain", explain)])
