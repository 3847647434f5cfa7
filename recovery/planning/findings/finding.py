"""One finding of the doctor: what is wrong, the evidence, and the commands that repair it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What may be wrong, in the order of priority. docs/doctor.md has a row for each."""

    UNHEALTHY = "unhealthy"
    DISK_LOW = "disk-low"
    LAYER_GROWS = "layer-grows"
    UNIT_FAILED = "unit-failed"
    RESTART_LOOP = "restart-loop"
    UNPLACED = "unplaced"
    VOLUME_BROKEN = "volume-broken"
    VOLUME_FULL = "volume-full"
    CERTIFICATE_ENDS = "certificate-ends"
    CLOCK_APART = "clock-apart"
    PORT_CLOSED = "port-closed"
    MTU_SMALL = "mtu-small"
    FIREWALL_GONE = "firewall-gone"
    ENGINES_APART = "engines-apart"
    MEMORY_LOW = "memory-low"
    RAFT_LARGE = "raft-large"
    MANAGERS_MANY = "managers-many"
    MANAGER_WORKS = "manager-works"
    ONE_ZONE = "one-zone"
    RECOVERY = "recovery"
    BUCKET_UNSAFE = "bucket-unsafe"
    DRBD = "drbd"


class Weight(StrEnum):
    """How soon a finding wants somebody."""

    URGENT = "urgent"
    """Something does not work, or soon will not."""
    SOON = "soon"
    """It works, and a loss or some weeks would change that."""
    ADVICE = "advice"
    """It works, and would be safer or simpler otherwise. It does not change the exit status."""


class Remedy(StrEnum):
    """The kind of a proposal."""

    ACCESS = "access"
    START = "start"
    UNLOCK = "unlock"
    UPDATE = "update"
    RESTART = "restart"
    REBOOT = "reboot"
    REPLACE = "replace"
    PROMOTE = "promote"
    FREE = "free"
    RECOVER = "recover"
    UNIT = "unit"
    SERVICE = "service"
    NETWORK = "network"
    CLOCK = "clock"
    SETTING = "setting"
    COPY = "copy"
    VOLUME = "volume"


NO_QUORUM_LEFT = "the quorum would be lost"
NO_LEADER = "no manager reports a leader, and the swarm may have to be rebuilt from this machine"
NOT_SEEN = "no manager reports a leader, and Requorum cannot see into every manager that is up"
NO_FENCE = "requorum:hosts.fence is not set"
RECOVER_FIRST = "the quorum is lost, a restart does not bring it back, and the swarm is recovered from this machine"
NO_MANAGER = "no manager reports a leader, and without one swarm starts no task again"
IN_USE = "its side is in use"
SIDE_UNSEEN = "a host of the volume was not seen, and may have newer data"
OBJECTIONS: Mapping[str, str] = {
    NO_QUORUM_LEFT: "quorum-at-risk",
    NO_LEADER: "may-hold-swarm",
    NOT_SEEN: "not-seen",
    NO_MANAGER: "no-leader",
    NO_FENCE: "no-fence-command",
    RECOVER_FIRST: "recover-first",
    IN_USE: "fix-by-hand",
    SIDE_UNSEEN: "fix-by-hand",
}
"""The code of each reason not to run a command now (`recovery.error_codes`)."""
STOPS = (",", ";", ".", ":")
"""What ends a part of a sentence, and no argument."""


@dataclass(frozen=True)
class Run:
    """A command on a node, or one of Requorum here if ``node`` is empty. `docker` asks the node's own engine."""

    node: str
    argv: tuple[str, ...]

    @property
    def text(self) -> str:
        """The command as a person types it."""
        return shlex.join(self.argv)

    @property
    def where(self) -> str:
        """The command with its node."""
        return f"on {self.node}: {self.text}" if self.node else self.text


@dataclass(frozen=True)
class Proposal:
    """One command to try, and its effect. ``refused`` says why not to run it now; empty if it may be run.

    ``runs`` are the commands on nodes that `requorum doctor --fix` carries out. Without them, ``command`` is one of Requorum, or
    is for the operator's own hands.
    """

    remedy: Remedy
    command: str
    effect: str
    refused: str = ""
    runs: tuple[Run, ...] = ()

    @property
    def code(self) -> str:
        """The kind of refusal; empty if the command may be run now."""
        return OBJECTIONS.get(self.refused, "")

    @property
    def able(self) -> bool:
        """Whether `requorum doctor --fix` can carry it out now."""
        return not self.refused and bool(self.runs or self.own)

    @property
    def own(self) -> tuple[str, ...]:
        """The arguments of the command, if it is one of Requorum alone, and no sentence goes on behind it."""
        words = tuple(shlex.split(self.command)) if self.command.startswith("requorum ") else ()
        return () if any(word.endswith(STOPS) for word in words) else words[1:]


@dataclass(frozen=True)
class Finding:
    """What is wrong, and the commands to try, in this order. ``node`` is where, or the subject, as a service."""

    node: str
    trouble: str
    proposals: tuple[Proposal, ...]
    kind: Kind = Kind.UNHEALTHY
    evidence: tuple[str, ...] = ()
    weight: Weight = Weight.URGENT
    detail: str = ""
    """What tells this finding from others of its kind on the same node."""

    @property
    def name(self) -> str:
        """The finding's name, which stays the same from look to look."""
        return f"{self.kind}@{self.node}" + (f":{self.detail}" if self.detail else "")

    @property
    def fix(self) -> Proposal | None:
        """The mildest proposal, if `requorum doctor --fix` can carry it out. A person who names another one names its number."""
        mildest = next((one for one in self.proposals if not one.refused), None)
        return mildest if mildest and mildest.able else None


def on_node(remedy: Remedy, effect: str, *runs: Run, refused: str = "") -> Proposal:
    """A proposal of commands on nodes."""
    command = "; ".join(run.where for run in runs)
    return Proposal(remedy, command, effect, refused, runs)
