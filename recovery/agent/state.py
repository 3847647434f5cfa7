"""The state that an agent keeps from one round to the next."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from time import time

from recovery.agent import order
from recovery.copies.manifest import Manifest, Verdict
from recovery.swarm import records

FILE = "state.json"
DONE, FAILED, AGAIN = 0, 1, 75
"""Exit statuses of a round. After the last two, systemd starts another round. 75 is EX_TEMPFAIL of sysexits.h."""


class Fault(StrEnum):
    """The activities at which an agent can fail. A fault lasts until the same activity succeeds."""

    ENGINE = "engine"
    """Reading the state of the swarm."""
    COPY = "copy"
    """Taking a copy that is proven."""
    TURN = "turn"
    """Asking S3 whose turn it is."""
    STORE = "store"
    """Storing every copy at every site."""
    CLOCK = "clock"
    """Having the same time as S3."""
    HISTORY = "history"
    """Storing when there was a quorum."""
    DISK = "disk"
    """Writing its state to the disk."""
    ROUND = "round"
    """Any other activity."""


@dataclass(frozen=True)
class State:
    """The agent's state. Times are Unix time stamps in seconds; 0 means never."""

    fingerprint: str = ""
    """The state of the swarm that a proven copy holds, as a fingerprint (`recovery.agent.order.View`)."""
    mark: str = ""
    """The newest proven copy in S3, of any manager, when the agent last asked."""
    attempted: float = 0.0
    """When the last round started."""
    failures: int = 0
    """How many rounds failed."""
    failed: float = 0.0
    """When the agent last failed."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """The current faults: the activity (`Fault`), and the error text."""
    tried: str = ""
    """The fingerprint of which a copy was last tried without a proven result."""
    tried_at: float = 0.0
    """When that try ended."""
    tries: int = 0
    """How many times the agent tried that fingerprint."""
    refused: float = 0.0
    """Since when other agents have held the lease."""
    taken: float = 0.0
    """When the last copy was taken."""
    proven: float = 0.0
    """When the last proven copy was taken."""
    stored: float = 0.0
    """When S3 last stored a copy."""
    verdict: str = ""
    """The verdict of the last copy."""
    seconds: float = 0.0
    """From the start of the last copy until it was in the spool, with its restore test."""
    size: int = 0
    """Bytes of the last copy."""

    @property
    def failure(self) -> str:
        """The first line of each fault, in one line; empty without a fault."""
        return "; ".join(why.partition("\n")[0] for why in self.faults.values())

    def resting(self, fingerprint: str, now: float) -> bool:
        """Whether it is too early to copy the state with this fingerprint again."""
        return self.tried == fingerprint and 0 <= now - self.tried_at < order.pause(self.tries)

    def trying(self, fingerprint: str) -> "State":
        """The state before a try. The try counts even if the process dies and reports no result."""
        tries = self.tries + 1 if fingerprint == self.tried else 1
        return replace(self, tried=fingerprint, tried_at=time(), tries=tries)

    def tried_now(self) -> "State":
        """The state after a try with any result. The pause starts now, so that it follows a long try too."""
        return replace(self, tried_at=time())

    def copied(self, manifest: Manifest, fingerprint: str, seconds: float) -> "State":
        """The state after a copy. An unproven copy is a fault, and the swarm counts as not copied."""
        taken = manifest.taken.timestamp()
        state = replace(self, taken=taken, verdict=str(manifest.verdict), seconds=round(seconds, 3), size=manifest.size)
        if manifest.verdict is not Verdict.PROVEN:
            return state.failing(Fault.COPY, manifest.shortfall)
        return replace(state, fingerprint=fingerprint, proven=taken).cleared(Fault.COPY)

    def sent(self, manifest: Manifest) -> "State":
        """The state after a site stored a copy. Only a stored proven copy resets the count of tries."""
        return replace(self, stored=time(), tries=0 if manifest.verdict is Verdict.PROVEN else self.tries)

    def failing(self, fault: Fault, why: str) -> "State":
        """The state after a failure. A round with several failures counts once."""
        failures = self.failures + (self.failed <= self.attempted)
        return replace(self, failures=failures, failed=time(), faults={**self.faults, str(fault): why})

    def cleared(self, fault: Fault) -> "State":
        """The state after the same activity succeeded."""
        return replace(self, faults={kind: why for kind, why in self.faults.items() if kind != fault})

    def write(self, path: Path) -> None:
        """Write the state to a file. A reader sees either the old or the new state. Raises: OSError."""
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=1))
        part.replace(path)


def read(path: Path) -> State:
    """The last written state. If it is lost or damaged, an empty state, so that the agent takes a new copy."""
    try:
        return from_json(path.read_bytes())
    except OSError:
        return State()


def from_json(text: str | bytes) -> State:
    """The state in a text of `State.write`; an empty state if the text is damaged."""
    try:
        return records.read(State, text)
    except records.Unfit:
        return State()
