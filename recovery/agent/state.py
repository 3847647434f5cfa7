"""What an agent remembers from one run to the next."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from time import time

from recovery.agent import order
from recovery.copies.manifest import Manifest, Verdict

FILE = "state.json"


class Fault(StrEnum):
    """What an agent can fail at. A fault lasts until the same thing succeeds."""

    ENGINE = "engine"
    """Looking at the swarm."""
    COPY = "copy"
    """Having a proven copy."""
    TURN = "turn"
    """Asking in S3 whose turn it is."""
    STORE = "store"
    """Having every copy at every site."""
    CLOCK = "clock"
    """Telling the time that S3 tells."""
    DISK = "disk"
    """Writing down what it remembers."""
    ROUND = "round"
    """Anything else."""


@dataclass(frozen=True)
class State:
    """Of the copies that this manager's agent took. Times are Unix time stamps in seconds, 0 for never."""

    fingerprint: str = ""
    """What is known to be in a proven copy (`recovery.agent.turn.View`)."""
    mark: str = ""
    """The newest proven copy in S3, of any manager, when that was last looked at."""
    attempted: float = 0.0
    failures: int = 0
    """Rounds that failed."""
    failed: float = 0.0
    faults: Mapping[str, str] = field(default_factory=dict)
    """What it fails at (`Fault`), and why."""
    tried: str = ""
    """What no copy was proven of when that was tried last, as fingerprint; with when that was over, and how often."""
    tried_at: float = 0.0
    tries: int = 0
    refused: float = 0.0
    """Since when it gets no turn."""
    taken: float = 0.0
    proven: float = 0.0
    """When the last copy was taken, and the last one that was proven."""
    stored: float = 0.0
    """When S3 last took a copy."""
    verdict: str = ""
    seconds: float = 0.0
    """From the start of the last copy to its place in the spool, with its proof."""
    size: int = 0
    """Bytes of the last copy."""

    @property
    def failure(self) -> str:
        """What it fails at, in a line; empty where nothing is wrong."""
        return "; ".join(why.partition("\n")[0] for why in self.faults.values())

    def resting(self, fingerprint: str, now: float) -> bool:
        """Whether it is too early to try that again."""
        return self.tried == fingerprint and 0 <= now - self.tried_at < order.pause(self.tries)

    def trying(self, fingerprint: str) -> "State":
        """Before a copy: should nobody come to tell what became of it, it was tried all the same, and is over."""
        tries = self.tries + 1 if fingerprint == self.tried else 1
        return replace(self, tried=fingerprint, tried_at=time(), tries=tries)

    def tried_now(self) -> "State":
        """After a try, however it ended: it rests from here, so that one which took long is followed by a rest too."""
        return replace(self, tried_at=time())

    def copied(self, manifest: Manifest, fingerprint: str, seconds: float) -> "State":
        """After a copy; one that is not proven is an alarm, and the swarm counts as not copied."""
        taken = manifest.taken.timestamp()
        made = replace(self, taken=taken, verdict=str(manifest.verdict), seconds=round(seconds, 3), size=manifest.size)
        if manifest.verdict is not Verdict.PROVEN:
            return made.failing(Fault.COPY, manifest.shortfall)
        return replace(made, fingerprint=fingerprint, proven=taken).cleared(Fault.COPY)

    def sent(self, manifest: Manifest) -> "State":
        """After a site took a copy. Not before one that is proven got that far is a try no longer held against the next."""
        return replace(self, stored=time(), tries=0 if manifest.verdict is Verdict.PROVEN else self.tries)

    def failing(self, fault: Fault, why: str) -> "State":
        """After something failed; a round counts once, whatever fails in it."""
        failures = self.failures + (self.failed <= self.attempted)
        return replace(self, failures=failures, failed=time(), faults={**self.faults, str(fault): why})

    def cleared(self, fault: Fault) -> "State":
        """After the same thing succeeded."""
        return replace(self, faults={kind: why for kind, why in self.faults.items() if kind != fault})

    def write(self, path: Path) -> None:
        """As it lies on the node; a reader sees the old or the new one. Raises: OSError."""
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=1))
        part.replace(path)


def read(path: Path) -> State:
    """What was written last; nothing where that is lost or broken, and then a copy is taken anew."""
    try:
        return from_json(path.read_bytes())
    except OSError:
        return State()


def from_json(text: str | bytes) -> State:
    """The state in what `State.write` wrote; nothing where that is broken."""
    try:
        return State(**json.loads(text))
    except (ValueError, TypeError):
        return State()
