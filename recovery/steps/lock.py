"""Carries out LOCK: switches autolock on again, and keeps unlock keys in escrow."""

from collections.abc import Callable

from recovery.node.engine import Engine
from recovery.node.shell import DATA_ROOT
from recovery.node.ssh import Shell
from recovery.onnode.archive import OPENED
from recovery.planning.steps import Step
from recovery.progress import Say
from recovery.steps.run import Run
from recovery.swarm.key_file import UnlockKey
from recovery.swarm.machines import Node, SwarmOptions

WAS_ON = f'[ -e "$1/swarm/{OPENED}" ]'
IS_ON = f'rm -f "$1/swarm/{OPENED}"'


def lock_again(run: Run, step: Step) -> None:
    """Enable autolock again on the manager's swarm, if it was on before the forced new cluster."""
    settle_autolock(run, run.settings.node(step.node))


def settle_autolock(run: Run, node: Node) -> None:
    """Enable autolock if Requorum opened the manager's key file or the settings want it. Safe to run again.

    A forced new cluster has autolock off. The swarm makes a new unlock key. Escrow keeps both keys.
    Raises: EngineError, StoreError, SettingError, TransportError.
    """
    settle(run.shell(node), run.settings.swarm.autolock, run.cluster.escrow.keep, say=run.say)


def settle(shell: Shell, setting: bool | None, keep: Callable[[UnlockKey], None], *, say: Say) -> None:
    """Enable autolock if Requorum opened the manager's key file or ``setting`` wants it. ``keep`` stores the unlock key.

    Raises: as `settle_autolock`.
    """
    engine = Engine(shell)
    root = engine.info().get("DockerRootDir") or DATA_ROOT
    was_on = shell.run(["sh", "-c", WAS_ON, "was", root], check=False).status == 0
    if not engine.autolocked and (setting or (was_on and setting is None)):
        say("enabling autolock again, with a new unlock key")
        engine.set_options(SwarmOptions(autolock=True))
    if engine.autolocked:
        keep(engine.unlock_key())
    if was_on:
        shell.run(["sh", "-c", IS_ON, "is", root])
