"""From a diagnosis to a plan. Preview shows the plan, and the update may use only the copy or survivor that it names."""

import hashlib
from dataclasses import dataclass, replace

from recovery.copies.copy import Choice, Copy, Rejected
from recovery.planning.diagnosis import Kind
from recovery.planning.steps import Action, Step
from recovery.swarm.moved import AddressChange


@dataclass(frozen=True)
class Refusal:
    """Why Requorum must not act, and what the operator should do."""

    why: str
    remedy: str
    consent: bool = False
    """Whether only the operator's consent is missing."""
    code: str = ""
    """The kind of refusal, as `recovery.error_codes` lists it."""


@dataclass(frozen=True)
class Plan:
    """Ordered steps, or a refusal; both if only the operator's consent is missing. Neither if there is nothing to do."""

    kind: Kind
    cluster_id: str | None = None
    steps: tuple[Step, ...] = ()
    copy: str | None = None
    """Name of the copy that a restore reads."""
    content: str = ""
    """The digest of the copy's archive."""
    ca: str | None = None
    """The digest of the copy's CA. Requorum restores no copy with another CA."""
    maker: str = ""
    """The ID of the node that made the copy."""
    vouched: bool = False
    """Whether the stack file or a living node names the copy's CA. `recover: true` does not consent to a copy of another one."""
    survivor: str | None = None
    """Name of the manager that a new cluster is forced from."""
    term: int = 0
    """The term of the last entry in the survivor's log. A swarm that has a leader again has an entry of a later term."""
    unsure: int = 0
    """How many of the survivor's last log entries are not known to be committed. A forced new cluster may drop them."""
    moves: tuple[AddressChange, ...] = ()
    """The managers that a restore brings back at other addresses. `recover: true` does not consent to these moves."""
    ahead: str | None = None
    """Name of a copy with changes that no survivor has. `recover: true` does not consent to the loss of these changes."""
    cut: str | None = None
    """Where the survivor's log ends, if it is damaged and Requorum repairs it. `recover: true` does not consent to that."""
    without: tuple[str, ...] = ()
    """The addresses of managers that no settings name and that may still run. Only the plan's ID consents to go on without them."""
    proven: str = ""
    """The newest reports; without a stack file, where the log ends. A proof ends all earlier consent, because the same survivor may be chosen at the next loss."""
    losses: tuple[str, ...] = ()
    """What the plan cannot bring back, and which copies it does not use."""
    refusal: Refusal | None = None

    @property
    def id(self) -> str:
        """The ID that consents to this recovery; empty for a plan that needs no consent.

        It depends on the diagnosis, the cluster, the source with its content and CA, the survivor's last leader, the costs and
        the newest proof. It has 64 bits: with fewer, whoever writes to S3 can make another plan with the ID that was reviewed."""
        source = self.copy or self.survivor
        if source is None:
            return ""
        costs = (*(move.text for move in self.moves), str(self.ahead), *([self.cut] if self.cut else ()), *self.without)
        led = (f"term {self.term}",) if self.term else ()
        identity = (self.kind, str(self.cluster_id), source, self.content, str(self.ca), *costs, *led, self.proven)
        return "r" + hashlib.sha256("\0".join(identity).encode()).hexdigest()[:16]

    @property
    def consent(self) -> str:
        """The command with which an operator consents to this recovery, with Pulumi."""
        return f"pulumi up --config recover={self.id}"

    @property
    def brings_back(self) -> bool:
        """Whether it recovers a lost quorum, or makes a lost machine again."""
        lost = any(step.action is Action.REBUILD for step in self.steps) and self.kind is not Kind.ABSENT
        return bool(self.id) or lost

    @property
    def needs_id(self) -> bool:
        """Whether only the plan's ID consents to it, because it costs more than `recover: true` covers."""
        unconfirmed = self.copy and not self.vouched
        return bool(self.moves or self.ahead or self.cut or self.without or unconfirmed)

    def agreed(self) -> "Plan":
        """The plan with the operator's consent. A plan that needs its ID in the settings stays refused."""
        consent_missing = self.refusal and self.refusal.consent and not self.needs_id
        return replace(self, refusal=None) if consent_missing else self

    @property
    def quorum_steps(self) -> tuple[Step, ...]:
        """The steps that give the swarm its quorum."""
        return tuple(step for step in self.steps if step.gives_quorum)

    def all_of(self, name: str) -> tuple[Step, ...]:
        """Every step for one node, except the step that makes its machine."""
        return tuple(step for step in self.steps if step.node == name and step.action is not Action.REBUILD)

    def steps_of(self, name: str) -> tuple[Step, ...]:
        """The steps that bring one node back when the swarm has its quorum."""
        return tuple(step for step in self.all_of(name) if not step.gives_quorum)

    @property
    def lines(self) -> tuple[str, ...]:
        """The plan as preview shows it."""
        numbered = tuple(f"{number}. {step.node}: {step.effect}" for number, step in enumerate(self.steps, 1))
        return numbered + tuple(f"note: {loss}" for loss in self.losses)


@dataclass(frozen=True)
class Source:
    """The copy that a restore would read, and the facts about it. Requorum searches for a copy only if all managers are lost."""

    choice: Choice | None = None
    """The copy."""
    rejected: tuple[Rejected, ...] = ()
    """The copies that are not used. Beside a chosen copy: those that are newer, or more trusted."""
    newer: Choice | None = None
    """The newest unused copy with a readable manifest. Its list shows what is lost."""
    cas: frozenset[str] = frozenset()
    """The digests of the CA that is trusted (`recovery.planning.trust`)."""
    engine: str = ""
    """The version of the engine on which the copy would be restored, if that engine answers."""
    moved: tuple[AddressChange, ...] = ()
    """The managers that would come back at other addresses."""
    ahead: Copy | None = None
    """With survivors: a copy that holds changes that no survivor has."""
    proven: str = ""
    """The newest reports (`recovery.operations.reports.proofs`)."""
    unlisted: tuple[str, ...] = ()
    """The workers in the swarm that the copy does not list: they joined after it was taken."""
    elsewhere: Choice | None = None
    """Without a choice: the newest good copy of a manager for which no machine stands."""
    without: tuple[str, ...] = ()
    """The addresses of managers that no settings name and that may still run (`recovery.planning.unnamed`)."""
