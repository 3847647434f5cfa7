"""Takes a machine out of the world, and writes down that it is lost: so that what it was can safely be made again.

The docker driver removes the node's container and volume itself. For existing machines the operator configures a
command that switches one off (``requorum:hosts.fence``), or gives a word for it. Whichever it was, it counts only
once nothing answers at the machine's address.
"""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic, sleep

from recovery import hosts, journal, words
from recovery.errors import HostError, ProofFailed, Refused
from recovery.model import Presence, Reach, Survey
from recovery.settings import Node, Settings
from recovery.shell import SHOWN
from recovery.survey import settled, survey
from recovery.transport import is_silent
from recovery.words import Word

COMMAND_SECONDS = 120.0
"""For the configured command: a management controller may take a minute."""
SILENCE_SECONDS = 30.0
"""For the machine to fall silent, and for the leader to notice: it marks a node down after about 15 s."""
QUIET = 2
"""How often in a row a machine must not answer."""
PAUSE = 0.5
OFF = frozenset({Reach.SILENT, Reach.STOPPED, Reach.ABSENT, Reach.NAMED})


def check(settings: Settings, seen: Survey, node: Node, *, lost: bool, force: bool) -> None:
    """Whether the node may be fenced: pure. Raises: Refused, with what to do instead."""
    doing, name = f"fencing {node.name}", node.name

    def refuse(why: str, remedy: str) -> Refused:
        return Refused(doing, why, remedy=remedy, node=name)

    report = seen.of(name)
    up = report.reach not in OFF
    if report.known_lost and up:
        raise refuse("it answers and is in no swarm: there is nothing to fence", "pulumi up")
    if lost and up:
        raise refuse(f"it is no lost machine: {report.reach}", "requorum doctor")
    if settings.hosts.driver == "existing" and not (lost or settings.hosts.fence):
        raise refuse(
            "no command is configured that switches a machine off",
            f"set requorum:hosts.fence; or see to it that the machine is off and stays off, then: requorum fence {name} --lost",
        )
    if report.reach is Reach.STOPPED and node.role == "manager" and seen.leader is None and not force:
        raise refuse(
            "it is stopped, and no manager answers with a leader: the swarm may have to be rebuilt from what its volume holds",
            f"docker start {name} (docker unpause {name} where it is paused); or, where that does not help: requorum fence {name} --force",
        )
    if not (up or heard(seen, node)):
        return
    state = f"it answers ({report.reach})" if up else "it does not answer here, but the leader reaches it"
    if not force:
        raise refuse(state, f"requorum doctor; to switch it off all the same: requorum fence {name} --force")
    if seen.leader is None:
        docker = settings.hosts.driver == "docker"
        off = (
            f"docker stop {name}, then requorum fence {name} --force"
            if docker
            else f"switch it off by hand, then requorum fence {name} --lost"
        )
        raise refuse(
            f"{state}, and no manager answers with a leader: the swarm may have to be rebuilt from what it holds",
            f"requorum doctor; where nothing of that helps: {off}",
        )
    if not seen.survives_without(node):
        raise refuse(f"{state}, and without it the quorum would be lost", "bring the other managers back first")


def heard(seen: Survey, node: Node) -> bool:
    """Whether the leader reaches the node, as far as it has noticed."""
    entry = seen.entry(node)
    return entry is not None and (entry.reachable if entry.votes else entry.ready)


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
) -> Word:
    """Switch the machine off, or take the operator's word, check that it is silent, and write it down.

    Safe to run again. Raises: Refused; HostError when it could not be switched off; ProofFailed when something
    still answers after ``seconds``; StoreError.
    """
    check(settings, settled(settings), node, lost=lost, force=force)
    say(intent(settings, node, lost=lost))
    how = _switch_off(settings, node, lost)
    _await_silence(settings, node, seconds)
    word = Word(node.name, str(node.address), datetime.now(UTC), how, journal.operator())
    words.speak(settings, word)
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
            hosts.remove(settings, node)
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
