"""Brings back the swarm of one manager without a stack file, for an operator who never had a copy.

It looks, decides and acts through the same functions as a recovery with a stack file. What differs is where the manager is
described (in its own files), where the safety copy is (on the manager's disk), and who gives the unlock key (the operator).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from recovery.copies.torn_key import require_key_file
from recovery.errors import EngineError, NoUnlockKey, ProofFailed, Refused, RequorumError, SettingError
from recovery.node.engine import RESTART, Engine
from recovery.node.ssh import Shell
from recovery.planning import checks
from recovery.planning.checks import Check, Result
from recovery.planning.plan import Plan
from recovery.planning.rescue import rescue_plan
from recovery.planning.steps import Action
from recovery.progress import Say
from recovery.steps import lock, swarm_directory, votes
from recovery.steps.force import force
from recovery.steps.repair import repair
from recovery.steps.unlock import open_with, unlock_with
from recovery.survey import single
from recovery.survey.nodes import ask
from recovery.survey.single import UNKNOWN, Place
from recovery.survey.workload import GOSSIP_SECONDS, node_workload
from recovery.swarm.address import Address
from recovery.swarm.entries import Member
from recovery.swarm.key_file import Opening, UnlockKey, opens
from recovery.swarm.machines import Node, Ssh
from recovery.swarm.single import Single
from recovery.swarm.workload import Workload
from recovery.waiting import until

PAUSE = 0.3
TASK_SECONDS = 30.0
"""How long tasks may take to run again, before the result is shown without them."""
REMEDIES: Mapping[str, str] = {
    "access-denied": "authorize the key for root on the host, or name another key: --identity-file FILE",
    "ssh-refused": "start sshd on the host, or correct the port in {url}",
    "slow-login": "find out what keeps the login of the host busy, then run the same command again",
    "missing-rights": "log in as root: requorum rescue {url}",
    "plan-outdated": "look at the plan again: requorum rescue {url}",
    "engine-refused": "look again: requorum rescue {url}",
    "repair-failed": "look for another manager or a backup: docs/runbooks/rescue.md",
    "swarm-differs": "put the safety copy back, as docs/runbooks/rescue.md describes",
    "swarm-timeout": "look at the engine's log on the host (journalctl -u docker), then run the same command again",
    "no-leader": "look at the engine's log on the host (journalctl -u docker), then run the same command again",
}
"""What to do about an error by its code, where the stack file does not help. Other errors keep their own remedy."""


@dataclass(frozen=True)
class Target:
    """A manager to rescue, and how to log in."""

    host: str
    ssh: Ssh
    advertised: Address | None = None
    """Its address in the swarm, if its files do not tell it."""

    @property
    def url(self) -> str:
        """The manager as the operator names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.ssh.port}" if self.ssh.port != 22 else ""
        return f"ssh://{self.ssh.user}@{host}{port}"


@dataclass(frozen=True)
class Rescued:
    """A swarm that is back, as Docker lists it."""

    cluster_id: str
    members: tuple[Member, ...]
    tasks: tuple[Check, ...]
    """Each service, and how many of its tasks run."""


class Rescue:
    """A manager whose shell is open."""

    def __init__(self, shell: Shell, place: Place, opening: Opening, say: Say) -> None:
        self._shell, self._place, self._opening, self._say = shell, place, opening, say

    def look(self) -> tuple[Single, Plan]:
        """What the manager is like, and what would be done. Its swarm directory stays as it is.

        Raises: TransportError, DamagedCopy, NoUnlockKey.
        """
        seen = single.look(self._shell, self._place, self._opening)
        return seen, rescue_plan(seen)

    def carry_out(self, seen: Single, plan: Plan) -> Rescued:
        """Take the steps of a plan, to which the operator has consented. Safe to run again after any interruption.

        Raises: Refused if another manager answers now, or this one has a leader; ProofFailed, TransportError, EngineError, DamagedCopy, NoUnlockKey.
        """
        shell, report, say = self._shell, seen.report, self._say
        takes: Mapping[Action, Callable[[], None]] = {
            Action.SAVE: lambda: say(f"the safety copy is {single.keep(shell, report)}"),
            Action.UNLOCK: lambda: unlock_with(shell, self._opening, say=say),
            Action.OPEN: lambda: open_with(shell, report, self._opening, say=say),
            Action.REPAIR: lambda: repair(shell, report, plan.cut, self._opening, say=say),
            Action.FORCE: lambda: self._force(seen),
            Action.LOCK: lambda: lock.settle(shell, None, lambda _: None, say=say),
        }
        for step in plan.steps:
            if step.action in takes:
                takes[step.action]()
        return self._prove(seen)

    def _force(self, seen: Single) -> None:
        """Force a new cluster if still nobody has one, and see to it that the engine listens for gossip."""
        back = single.answering(self._shell, seen.others)
        if back or ask(self._shell, seconds=single.ENGINE_SECONDS).led:
            raise Refused(
                f"forcing a new cluster from {seen.report.node.name}",
                f"another manager answers now: {', '.join(back)}" if back else "it has a leader now",
                remedy="look at the plan again",
                node=seen.report.node.name,
                code="plan-outdated",
            )
        force(self._shell, seen.report, None, say=self._say)
        look = until(
            lambda: node_workload(self._shell),
            GOSSIP_SECONDS,
            holds=lambda look: look.listening is not False,
            pause=PAUSE,
        )
        if look.listening is False:
            self._say("the engine does not listen for gossip (moby#36860). Requorum restarts it")
            self._shell.run(["sh", "-c", RESTART], seconds=swarm_directory.RESTART_SECONDS)

    def _prove(self, seen: Single) -> Rescued:
        """Prove the swarm through Docker on the manager. Raises: ProofFailed; EngineError, TransportError."""
        engine, report = Engine(self._shell), seen.report

        def listed() -> tuple[Member, ...]:
            try:
                return engine.members()
            except EngineError:
                return ()

        def leads(members: tuple[Member, ...]) -> bool:
            return any(one.node_id == report.node_id and one.leader and one.ready for one in members)

        members = until(listed, votes.SECONDS, holds=leads, pause=PAUSE, otherwise=lambda _: _not_leading(report.node))
        holds, cluster_id = engine.inventory(), engine.info()["Swarm"]["Cluster"]["ID"]
        expected = seen.survivor.holds if seen.survivor else None
        missing = expected.missing_from(holds) if expected else {}
        if cluster_id != report.cluster_id or missing:
            objects = "; ".join(f"{kind}: {', '.join(ids)}" for kind, ids in missing.items())
            raise ProofFailed(
                "proving the swarm",
                f"it is swarm {cluster_id}, and lacks {objects or 'nothing'}. It should be swarm {report.cluster_id}",
                remedy="put the safety copy back, as docs/runbooks/rescue.md describes",
                node=report.node.name,
                code="proof-failed",
            )
        swarm_directory.forced(self._shell, engine)
        ready = {member.node_id for member in members if member.ready}

        def tasks() -> tuple[Check, ...]:
            return checks.tasks(Workload(engine.services(), engine.tasks()), ready, None)

        run = until(tasks, TASK_SECONDS, holds=lambda found: all(c.result is Result.OK for c in found), pause=PAUSE)
        return Rescued(cluster_id, members, run)


@contextmanager
def reached(target: Target, read_key: Callable[[], UnlockKey], *, say: Say) -> Iterator[Rescue]:
    """Log in to a manager. ``read_key`` asks the operator for the unlock key, if one is needed.

    The remedies of errors inside the context are for an operator without a stack file. Raises: TransportError, SettingError.
    """
    first = Node(name=target.host, address=UNKNOWN, role="manager", ssh_address=target.host)
    try:
        with Shell(first, target.ssh) as shell:
            place = single.place(shell, target.advertised)
        with Shell(place.node, target.ssh) as shell:
            yield Rescue(shell, place, _checked(read_key, target.host), say)
    except RequorumError as error:
        _reraise(error, target)


def identity_file() -> Path:
    """The operator's private key, in the order of OpenSSH. Raises: SettingError if there is none."""
    folder = Path.home() / ".ssh"
    found = (folder / name for name in ("id_rsa", "id_ecdsa", "id_ed25519") if (folder / name).exists())
    if key := next(found, None):
        return key
    raise SettingError(
        "(identity file)",
        f"{folder} holds no private key",
        remedy="name the private key: --identity-file FILE",
        code="bad-argument",
    )


def _checked(read_key: Callable[[], UnlockKey], host: str) -> Opening:
    """Gives the operator's key if it opens the key file."""

    def opening(locked: bytes) -> UnlockKey:
        require_key_file(locked, node=host)
        key = read_key()
        if opens(key, locked):
            return key
        raise NoUnlockKey(
            "opening the key file",
            f"unlock key {key.fingerprint} does not open it",
            remedy="give the unlock key that the swarm had last: --unlock-key-file FILE",
            node=host,
            code="no-unlock-key",
        )

    return opening


def _not_leading(node: Node) -> ProofFailed:
    return ProofFailed(
        "proving the swarm",
        f"it does not lead its swarm, or is not Ready, after {votes.SECONDS:.0f} s",
        remedy="look at the engine's log on the host (journalctl -u docker), then run the same command again",
        node=node.name,
        code="swarm-timeout",
    )


def _reraise(error: RequorumError, target: Target) -> NoReturn:
    """Raise the error with what an operator without a stack file can do."""
    if isinstance(error, SettingError):
        raise _of_option(error, target) from None
    if error.code not in REMEDIES:
        raise error
    remedy = REMEDIES[error.code].format(url=target.url)
    raise type(error)(error.doing, error.why, remedy=remedy, node=error.node, code=error.code) from None


def _of_option(error: SettingError, target: Target) -> SettingError:
    """The error about a file that the command line names."""
    if error.key == "ssh.privateKeyFile":
        return SettingError(
            "(identity file)", error.why, remedy=f"{error.remedy}: --identity-file FILE", code="unreadable-file"
        )
    if error.key == "ssh.knownHostsFile":
        scan = f"ssh-keyscan -p {target.ssh.port} {target.host} >> {target.ssh.known_hosts_file}"
        remedy = f"compare the fingerprint on the host (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then: {scan}"
        return SettingError("(known hosts file)", error.why, remedy=remedy, code="host-key-not-pinned")
    return error
