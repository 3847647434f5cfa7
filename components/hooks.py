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


def around_proof(settings: Settings) -> pulumi.ResourceHookBinding:
    """Before the proof a fresh copy of every manager, since the copies from before do not know what was changed;
    after it, what is left to do.

    The copies are taken while the workers still find their way back.
    """

    def take_copies(_args: pulumi.ResourceHookArgs) -> None:
        hooks.fresh_copies(settings, say=say)

    def finish(_args: pulumi.ResourceHookArgs) -> None:
        hooks.proven(settings)

    copies, proven = pulumi.ResourceHook("fresh-copies", take_copies), pulumi.ResourceHook("proven", finish)
    return pulumi.ResourceHookBinding(
        before_create=[copies], before_update=[copies], after_create=[proven], after_update=[proven]
    )


def on_quorum_error(settings: Settings) -> pulumi.ResourceHookBinding:
    """Where giving the cluster a quorum fails, the diagnosis and what to run next."""

    def explain(_args: pulumi.ErrorHookArgs) -> bool:
        for line in hooks.explain(settings):
            pulumi.log.error(line)
        return False

    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("explain", explain)])
