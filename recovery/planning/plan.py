"""From a diagnosis to what is to be done: pure. Preview shows the plan; the update is held to the copy or survivor it names."""

import hashlib
from dataclasses import dataclass, replace

from recovery.copies.copy import Choice, Copy
from recovery.planning.diagnosis import Kind
from recovery.planning.steps import Step
from recovery.swarm.model import AddressChange


@dataclass(frozen=True)
class Refusal:
    """Why nothing may be done, and what to do instead."""

    why: str
    remedy: str
    consent: bool = False
    """Whether nothing but the operator's word is missing."""


@dataclass(frozen=True)
class Plan:
    """Ordered steps, or a refusal; both where only the operator's word is missing. Neither: nothing to do."""

    kind: Kind
    cluster_id: str | None = None
    steps: tuple[Step, ...] = ()
    copy: str | None = None
    """Name of the copy that a restore reads."""
    ca: str | None = None
    """The digest of that copy's CA: nothing under another is restored."""
    vouched: bool = False
    """Whether a living node knows that CA, or the operator named the copy."""
    survivor: str | None = None
    """Name of the manager that a new cluster is forced from."""
    unsure: int = 0
    """How many of the survivor's last entries were never known to be committed, and may be dropped."""
    moves: tuple[AddressChange, ...] = ()
    """The managers that a restore brings back at other addresses than they had: `recover: true` does not cover that."""
    ahead: str | None = None
    """Name of a copy that holds what no survivor has: nor does it cover that."""
    proven: str = ""
    """The newest report: a proof ends all consent that was given before, as the same survivor may be chosen at the next loss."""
    losses: tuple[str, ...] = ()
    """What the plan cannot bring back, and what was passed over."""
    refusal: Refusal | None = None

    @property
    def id(self) -> str:
        """What a recovery is consented to by: the same for the same diagnosis, cluster, source and what it costs,
        until the next proof; empty for other plans."""
        source = self.copy or self.survivor
        if source is None:
            return ""
        costs = (*(move.text for move in self.moves), str(self.ahead))
        said = "\0".join((self.kind, str(self.cluster_id), source, *costs, self.proven))
        return "r" + hashlib.sha256(said.encode()).hexdigest()[:7]

    @property
    def needs_id(self) -> bool:
        """Whether nothing but its ID in the settings consents to it: it costs what `recover: true` says nothing of."""
        return bool(self.moves or self.ahead)

    def agreed(self) -> "Plan":
        """The plan once the operator has given the word that was missing; elsewhere, only its ID in the settings is that."""
        given = self.refusal and self.refusal.consent and not self.needs_id
        return replace(self, refusal=None) if given else self

    @property
    def lines(self) -> tuple[str, ...]:
        """The plan as preview shows it."""
        numbered = tuple(f"{number}. {step.node}: {step.effect}" for number, step in enumerate(self.steps, 1))
        return numbered + tuple(f"note: {loss}" for loss in self.losses)


@dataclass(frozen=True)
class Source:
    """What a restore would read, and what is known of it; looked for when all managers are lost."""

    choice: Choice | None = None
    """The copy."""
    rejected: tuple[str, ...] = ()
    """Why newer ones were passed over."""
    newer: Choice | None = None
    """The newest of these, as far as its manifest can be read: it tells what is lost."""
    cas: frozenset[str] = frozenset()
    """The digests of the CA that living nodes know."""
    engine: str = ""
    """The version of the engine that it would be restored on, where that answers."""
    moved: tuple[AddressChange, ...] = ()
    """The managers that would come back elsewhere."""
    ahead: Copy | None = None
    """With survivors: a copy that holds what none of them has."""
    proven: str = ""
    """The newest report."""
