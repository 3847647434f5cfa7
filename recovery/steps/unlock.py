"""Carries out UNLOCK and OPEN: unlocks a manager, or opens its key file before Requorum forces a new cluster from it."""

import hashlib
from functools import partial

from recovery.cluster import Cluster
from recovery.copies.torn_key import require_key_file
from recovery.errors import ProofFailed
from recovery.node import data_root
from recovery.node.engine import RESTART, Engine
from recovery.node.ssh import Shell
from recovery.onnode.archive import KEY, OPENED
from recovery.planning.steps import Step
from recovery.progress import Say
from recovery.steps import votes
from recovery.steps.run import Run
from recovery.steps.swarm_directory import RESTART_SECONDS
from recovery.survey.nodes import ask
from recovery.swarm.key_file import Opening, UnlockKey, is_locked, opens, unlock
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState, NodeReport
from recovery.waiting import until

REPLACE = (
    'umask 077; cat > "$1.requorum" && echo "$2  $1.requorum" | sha256sum --quiet --strict -c - >&2 && '
    f': > "${{1%/*}}/../{OPENED}" && mv "$1.requorum" "$1" || {{ rm -f "$1.requorum"; exit 1; }}'
)
"""Replaces the key file if all of the new one has arrived: a connection that is lost ends the input early.

Writes the marker before the key file. If a run is killed in between, autolock is still enabled again later."""
PAUSE = 0.1


def require_key(cluster: Cluster, node: Node) -> None:
    """Check that escrow has the key of a locked manager.

    Raises: NoUnlockKey, DamagedKeyFile, SettingError, StoreError, TransportError.
    """
    with cluster.shell(node) as shell:
        pem = _read(shell)
        if is_locked(pem):
            _escrowed(cluster, shell)(pem)


def unlock_manager(run: Run, step: Step) -> None:
    """Carry out UNLOCK. Raises: as `start`."""
    start(run.cluster, run.shell(run.settings.node(step.node)), say=run.say)


def start(cluster: Cluster, shell: Shell, *, say: Say) -> None:
    """Unlock a locked manager, and wait until it has a leader. Without a quorum, it has none until enough are unlocked.

    Raises: as `require_key`; EngineError; ProofFailed if it still has no leader.
    """
    unlock_with(shell, _escrowed(cluster, shell), say=say)


def unlock_with(shell: Shell, opening: Opening, *, say: Say) -> None:
    """Unlock a locked manager with the key that ``opening`` finds. Raises: as `start`."""
    name, pem = shell.node.name, _read(shell)
    if not is_locked(pem):
        return
    key = opening(pem)
    say(f"unlocking {name} with unlock key {key.fingerprint}")
    Engine(shell).unlock(key)

    def failure(report: NodeReport) -> ProofFailed:
        why = f"it has no leader after {votes.SECONDS:.0f} s. Its engine's swarm state is {report.state}"
        remedy = "look at the swarm (requorum status), then run the same command again"
        return ProofFailed("unlocking it", why, remedy=remedy, node=name, code="no-leader")

    until(lambda: ask(shell), votes.SECONDS, holds=_takes_part, pause=PAUSE, otherwise=failure)


def open_key_file(run: Run, step: Step) -> None:
    """Carry out OPEN: prepare a locked manager for a forced new cluster. Docker cannot force a locked manager (moby#36852).

    Decrypts its key file and leaves a marker. Restarts an engine that started locked. Safe to run again.
    Raises: as `require_key`; CommandFailed.
    """
    report = run.survey.of(step.node)
    shell = run.shell(report.node)
    open_with(shell, report, _escrowed(run.cluster, shell), say=run.say)


def open_with(shell: Shell, report: NodeReport, opening: Opening, *, say: Say) -> None:
    """Open the key file of a locked manager with the key that ``opening`` finds. Raises: as `open_key_file`."""
    name, pem = report.node.name, _read(shell)
    if is_locked(pem):
        key = opening(pem)
        say(f"decrypting the key file of {name} with unlock key {key.fingerprint}")
        opened = unlock(pem, key)
        digest = hashlib.sha256(opened).hexdigest()
        shell.run(["sh", "-c", REPLACE, "replace", _key_file(shell), digest], stdin=opened)
    if report.state is LocalState.LOCKED:
        say(f"restarting the Docker engine of {name}, which started locked. This takes 20 s")
        shell.run(["sh", "-c", RESTART], seconds=RESTART_SECONDS)


def is_under(shell: Shell, key: UnlockKey) -> bool:
    """Whether the key opens a manager's key file. Raises: as `_read`."""
    return opens(key, _read(shell))


def _takes_part(report: NodeReport) -> bool:
    """Whether the manager has a leader. If it was demoted while it was locked, it deletes its raft log instead."""
    return report.state is LocalState.ACTIVE and (report.led or not report.raft)


def _escrowed(cluster: Cluster, shell: Shell) -> Opening:
    return partial(cluster.escrow.opening, whose=shell.node.name)


def _read(shell: Shell) -> bytes:
    """The manager's key file. Raises: DamagedKeyFile if it is none; TransportError."""
    pem = shell.run(["cat", _key_file(shell)]).stdout
    require_key_file(pem, node=shell.node.name)
    return pem


def _key_file(shell: Shell) -> str:
    """Where the key file is. An engine whose leader has just died would need 20 s to tell its folder."""
    return f"{data_root.of(shell)}/{KEY}"
