"""Switches a machine off and declares it lost, so that another machine can safely take its place.

The docker driver removes the node's container and volume. For existing machines the operator configures a command
that switches a machine off (``requorum:hosts.fence``), or confirms that it is off. In each case, the machine is declared
lost only after nothing answers at its address any more.
"""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic, sleep

from recovery.cluster import Cluster
from recovery.errors import HostError, ProofFailed
from recovery.node.engine import HEARTBEAT_SECONDS
from recovery.node.shell import said
from recovery.node.ssh import is_silent
from recovery.operations.hosts import remove
from recovery.planning.fencing import check, heard
from recovery.s3.lease import operator
from recovery.settings import Settings
from recovery.settings.hosts import filled
from recovery.survey import hosts
from recovery.survey import lost as survey_lost
from recovery.survey.lost import LossDeclaration
from recovery.survey.nodes import stable_survey, survey
from recovery.swarm.machines import Node
from recovery.swarm.presence import Presence

COMMAND_SECONDS = 120.0
"""The limit for the configured command. A management controller may take a minute."""
SILENCE_SECONDS = 30.0
"""The limit until the machine is silent."""
MISSED_HEARTBEATS = 3
"""The leader marks a node Down when it receives no heartbeat for this many periods (docs/decisions/021)."""
QUIET = 2
"""How many times in a row a machine must not answer."""
PAUSE = 0.5


def intent(settings: Settings, node: Node, *, lost: bool) -> str:
    """What fencing the node does, in words that the operator consents to. The node may be fenced (`check`)."""
    if lost:
        return (
            f"declare {node.name} ({node.address}) lost. You confirm that it is off and stays off. "
            "Requorum checks that it does not answer"
        )
    if settings.hosts.driver == "docker":
        return f"remove the container of {node.name} ({node.address}) and its volume with all its data"
    return f"run {settings.hosts.fence[0]} to switch off {node.name} ({node.address})"


def fence(
    cluster: Cluster,
    node: Node,
    *,
    lost: bool = False,
    force: bool = False,
    say: Callable[[str], None],
    seconds: float = SILENCE_SECONDS,
) -> LossDeclaration:
    """Switch the machine off, unless ``lost`` says that it is off, check that it is silent, and declare it lost.

    Safe to run again. Raises: Refused; HostError if the machine could not be switched off; ProofFailed if something
    still answers after ``seconds``, or the leader still reaches the silent machine after `down_seconds` more; StoreError;
    SettingError, before anything is switched off, if the operator's key cannot sign.
    """
    settings = cluster.settings
    cluster.operators.require()
    check(settings, stable_survey(cluster), node, lost=lost, force=force)
    say(intent(settings, node, lost=lost))
    how = _switch_off(settings, node, lost)
    _await_silence(cluster, node, seconds)
    word = LossDeclaration(node.name, str(node.address), datetime.now(UTC), how, operator())
    survey_lost.declare_lost(cluster, word)
    return word


def _switch_off(settings: Settings, node: Node, lost: bool) -> str:
    if settings.hosts.driver == "docker":
        if not lost:
            remove(settings, node)
        if hosts.presence(settings, [node])[node.name] in (Presence.PRESENT, Presence.STOPPED):
            raise HostError(
                "fencing it",
                "its host's Docker engine still has the container",
                remedy=f"requorum fence {node.name}",
                node=node.name,
                code="host-engine-failed",
            )
    if lost:
        return "the operator confirmed it"
    if settings.hosts.driver == "docker":
        return "container and volume removed"
    _run(filled(settings.hosts.fence, node), node)
    return f"switched off by {settings.hosts.fence[0]}"


def _run(argv: list[str], node: Node) -> None:
    def failed(why: str) -> HostError:
        return HostError(
            f"running {argv[0]} to switch it off",
            why,
            remedy=f"correct requorum:hosts.fence. Or switch it off yourself, then: requorum fence {node.name} --lost",
            node=node.name,
            code="fence-command-failed",
        )

    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise failed(f"it did not end within {COMMAND_SECONDS:.0f} s") from None
    except OSError as error:
        raise failed(error.strerror or "it cannot be run") from None
    if done.returncode != 0:
        why = said((done.stderr or done.stdout).decode(errors="replace")) or "no message"
        raise failed(f"exit status {done.returncode}: {why}")


def down_seconds(settings: Settings) -> float:
    """How long the leader may take to mark a silent node Down, with the heartbeat that the settings give a new swarm."""
    return MISSED_HEARTBEATS * float(settings.swarm.dispatcher_heartbeat_seconds or HEARTBEAT_SECONDS)


def _await_silence(cluster: Cluster, node: Node, seconds: float) -> None:
    """Wait until the machine is silent, and until the leader does not reach it. Raises: ProofFailed, as in `fence`."""
    start, quiet = monotonic(), 0
    while True:
        quiet = quiet + 1 if is_silent(node, cluster.settings.ssh) else 0
        if quiet >= QUIET and not heard(survey(cluster, nodes=cluster.settings.managers), node):
            return
        limit = seconds if quiet < QUIET else seconds + down_seconds(cluster.settings)
        if monotonic() > start + limit:
            where = f"something still answers at {node.dial}" if quiet < QUIET else "the leader still reaches it"
            raise ProofFailed(
                "fencing it",
                f"{where} after {limit:.0f} s, so Requorum does not declare it lost",
                remedy="make sure that the machine is off and stays off, then run the same command again",
                node=node.name,
                code="still-answers",
            )
        sleep(PAUSE)
