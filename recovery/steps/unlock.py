"""Managers of an autolocked swarm: unlock them, decrypt one before a new cluster is forced, and lock it again."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

from recovery.copies.escrow import Escrow
from recovery.errors import ProofFailed
from recovery.node.engine import RESTART, Engine
from recovery.node.shell import DATA_ROOT
from recovery.node.ssh import Shell
from recovery.onnode.archive import KEY, OPENED
from recovery.planning.steps import Action
from recovery.progress import Say
from recovery.settings import Settings
from recovery.steps import journal, votes
from recovery.survey.nodes import ask
from recovery.swarm.key_file import UnlockKey, is_locked, unlock
from recovery.swarm.machines import Node, SwarmOptions
from recovery.swarm.model import LocalState, NodeReport

KEY_FILE = f"{DATA_ROOT}/{KEY}"
"""The key file's usual place. An engine whose leader has just died would need 20 s to tell its own."""
REPLACE = f'umask 077; cat > "$1.requorum" && : > "${{1%/*}}/../{OPENED}" && mv "$1.requorum" "$1"'
"""Writes the marker before the key file. If a run is killed in between, autolock is still enabled again later."""
WAS_ON = f'[ -e "$1/swarm/{OPENED}" ]'
IS_ON = f'rm -f "$1/swarm/{OPENED}"'
RESTART_SECONDS = 90.0
"""The engine waits 20 s for a quorum before it reports that it has started."""
PAUSE = 0.1


def require_key(settings: Settings, node: Node) -> None:
    """Check that escrow has the key of a locked manager. Raises: NoUnlockKey, SettingError, StoreError, TransportError."""
    with Shell(node, settings.ssh) as shell:
        _key(settings, shell, _read(shell))


def start(settings: Settings, node: Node, shell: Shell, *, say: Say) -> None:
    """Unlock a locked manager, and wait until it has a leader. Several locked managers have none until enough are unlocked.

    Raises: as `require_key`; EngineError; ProofFailed if it still has no leader.
    """
    key = _key(settings, shell, _read(shell))
    if key is None:
        return
    say(f"unlocking {node.name} with unlock key {key.fingerprint}")
    Engine(shell).unlock(key)
    end = monotonic() + votes.SECONDS
    while not _takes_part(seen := ask(shell)):
        if monotonic() > end:
            raise ProofFailed(
                "unlocking it",
                f"it has no leader after {votes.SECONDS:.0f} s. Its engine's swarm state is {seen.state}",
                remedy="requorum status, then run the same command again",
                node=node.name,
                code="no-leader",
            )
        sleep(PAUSE)


def open_offline(settings: Settings, seen: NodeReport, *, say: Say) -> None:
    """Prepare a locked manager for a forced new cluster. Docker cannot force a locked manager (moby#36852).

    Decrypts its key file and leaves a marker. Restarts an engine that started locked. Safe to run again.
    Raises: as `require_key`; CommandFailed.
    """
    node, waits = seen.node, seen.state is LocalState.LOCKED
    with Shell(node, settings.ssh) as shell:
        pem = _read(shell)
        if key := _key(settings, shell, pem):
            say(f"decrypting the key file of {node.name} with unlock key {key.fingerprint}")
            shell.run(["sh", "-c", REPLACE, "replace", KEY_FILE], stdin=unlock(pem, key))
        if waits:
            say(f"restarting the Docker engine of {node.name}, which started locked. This takes 20 s")
            shell.run(["sh", "-c", RESTART], seconds=RESTART_SECONDS)


def lock_again(settings: Settings, shell: Shell, engine: Engine, *, say: Say) -> None:
    """Enable autolock after a forced new cluster, which disables it, if it was enabled or the settings want it.

    The swarm makes a new unlock key. Escrow keeps both keys. Safe to run again.
    Raises: EngineError, StoreError, SettingError, TransportError.
    """
    wanted, root = settings.swarm.autolock, engine.info().get("DockerRootDir") or DATA_ROOT
    was_on = shell.run(["sh", "-c", WAS_ON, "was", root], check=False).status == 0
    if not engine.autolocked and (wanted or (was_on and wanted is None)):
        say("enabling autolock again, with a new unlock key")
        engine.set_options(SwarmOptions(autolock=True))
    keep_key(settings, engine)
    if was_on:
        shell.run(["sh", "-c", IS_ON, "is", root])


def keep_key(settings: Settings, engine: Engine) -> None:
    """Store the unlock key of an autolocked swarm in escrow. Raises: EngineError, StoreError, SettingError."""
    if engine.autolocked:
        Escrow(settings).keep(engine.unlock_key())


def _takes_part(seen: NodeReport) -> bool:
    """Whether it has a leader. A manager that was demoted while it was locked deletes its raft log instead."""
    return seen.state is LocalState.ACTIVE and (seen.led or not seen.raft)


def _key(settings: Settings, shell: Shell, pem: bytes) -> UnlockKey | None:
    return Escrow(settings).opening(pem, whose=shell.node.name) if is_locked(pem) else None


def _read(shell: Shell) -> bytes:
    return shell.run(["cat", KEY_FILE]).stdout


def unlock_managers(settings: Settings, names: Sequence[str], say: Say) -> None:
    """Unlock managers in parallel, because none of them answers until enough are unlocked to elect a leader."""

    def one(name: str) -> None:
        node = settings.node(name)
        with journal.step(settings, Action.UNLOCK, name, say), Shell(node, settings.ssh) as shell:
            start(settings, node, shell, say=say)

    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        list(pool.map(one, names))
