"""Takes a machine out of the world, and writes down that it is lost: so that what it was can safely be made again.

The docker driver removes the node's container and volume itself. For existing machines the operator configures a
command that switches one off (``requorum:hosts.fence``), or gives a word for it. Whichever it was, it counts only
once nothing answers at the machine's address.
"""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic, sleep

from recovery.errors import HostError, ProofFailed
from recovery.node.shell import SHOWN
from recovery.node.ssh import is_silent
from recovery.operations.hosts import remove
from recovery.planning.fencing import check, heard
from recovery.s3.lease import operator
from recovery.settings import Settings
from recovery.survey import hosts
from recovery.survey import lost as survey_lost
from recovery.survey.lost import LossDeclaration
from recovery.survey.nodes import stable_survey, survey
from recovery.swarm.machines import Node
from recovery.swarm.model import Presence

COMMAND_SECONDS = 120.0
"""For the configured command: a management controller may take a minute."""
SILENCE_SECONDS = 30.0
"""For the machine to fall silent, and for the leader to notice: it marks a node down after about 15 s."""
QUIET = 2
"""How often in a row a machine must not answer."""
PAUSE = 0.5


def intent(settings: Settings, node: Node, *, lost: bool) -> str:
    """What fencing the node will do, for the operator to agree to."""
    if lost:
        return f"{node.name} ({node.address}) is off and stays off: taken on your word, and checked to be silent"
    if settings.hosts.driver == "docker":
        return f"remove the container {node.name} and its volume {hosts.volume_name(node.name)}, with all that is in it"
    return f"run {settings.hosts.fence[0]} to switch off {node.name} ({node.address})"


def fence(
    settings: Settings,
    node: Node,
    *,
    lost: bool = False,
    force: bool = False,
    say: Callable[[str], None],
    seconds: float = SILENCE_SECONDS,
) -> LossDeclaration:
    """Switch the machine off, or take the operator's word, check that it is silent, and write it down.

    Safe to run again. Raises: Refused; HostError when it could not be switched off; ProofFailed when something
    still answers after ``seconds``; StoreError.
    """
    check(settings, stable_survey(settings), node, lost=lost, force=force)
    say(intent(settings, node, lost=lost))
    how = _switch_off(settings, node, lost)
    _await_silence(settings, node, seconds)
    word = LossDeclaration(node.name, str(node.address), datetime.now(UTC), how, operator())
    survey_lost.declare_lost(settings, word)
    return word


def command(settings: Settings, node: Node) -> list[str]:
    """The configured command for a node."""
    values = {"{name}": node.name, "{address}": str(node.address)}
    argv = []
    for argument in settings.hosts.fence:
        for key, value in values.items():
            argument = argument.replace(key, value)
        argv.append(argument)
    return argv


def _switch_off(settings: Settings, node: Node, lost: bool) -> str:
    if settings.hosts.driver == "docker":
        if not lost:
            remove(settings, node)
        if hosts.presence(settings, [node])[node.name] in (Presence.PRESENT, Presence.STOPPED):
            raise HostError(
                f"fencing {node.name}",
                "its engine still has the container",
                remedy=f"requorum fence {node.name}",
                node=node.name,
            )
    if lost:
        return "the operator's word"
    if settings.hosts.driver == "docker":
        return "container and volume removed"
    _run(command(settings, node), node)
    return f"switched off by {settings.hosts.fence[0]}"


def _run(argv: list[str], node: Node) -> None:
    doing, remedy = (
        f"running {argv[0]} to switch it off",
        "correct requorum:hosts.fence, or switch the machine off by hand",
    )
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise HostError(doing, f"no end within {COMMAND_SECONDS:.0f} s", remedy=remedy, node=node.name) from None
    except OSError as error:
        raise HostError(doing, error.strerror or "it cannot be run", remedy=remedy, node=node.name) from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-SHOWN:] or "no message"
        raise HostError(doing, f"exit status {done.returncode}: {said}", remedy=remedy, node=node.name)


def _await_silence(settings: Settings, node: Node, seconds: float) -> None:
    """Raises: ProofFailed when the machine answers, or the leader still reaches it, after ``seconds``."""
    end, quiet = monotonic() + seconds, 0
    while True:
        quiet = quiet + 1 if is_silent(node, settings.ssh) else 0
        if quiet >= QUIET and not heard(survey(settings, nodes=settings.managers), node):
            return
        if monotonic() > end:
            where = f"something still answers at {node.dial}" if quiet < QUIET else "the leader still reaches it"
            raise ProofFailed(
                f"fencing {node.name}",
                f"{where} after {seconds:.0f} s: it is not taken for lost",
                remedy="make sure that it is off and stays off; then run the same command again",
                node=node.name,
            )
        sleep(PAUSE)
