"""What an agent remembers from one run to the next."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import time

from recovery.manifest import Manifest, Verdict


@dataclass(frozen=True)
class State:
    """Of the copies that this manager's agent took. Times are Unix time stamps in seconds, 0 for never."""

    fingerprint: str = ""
    """What is known to be in a proven copy (`recovery.agent.turn.View`)."""
    mark: str = ""
    """The newest proven copy in S3, of any manager, when that was last looked at."""
    attempted: float = 0.0
    failures: int = 0
    failed: float = 0.0
    failure: str = ""
    """Why the last run failed; empty when it did not."""
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
    key: str = ""
    """The name of the unlock key that is in escrow."""

    def copied(self, manifest: Manifest, fingerprint: str, seconds: float) -> "State":
        """After a copy; one that is not proven is an alarm, and the swarm counts as not copied."""
        taken = manifest.taken.timestamp()
        good = manifest.verdict is Verdict.PROVEN
        made = replace(
            self,
            fingerprint=fingerprint if good else self.fingerprint,
            taken=taken,
            proven=taken if good else self.proven,
            verdict=str(manifest.verdict),
            seconds=round(seconds, 3),
            size=manifest.size,
            failure="",
        )
        return made if good else made.failing(manifest.shortfall)

    def failing(self, why: str) -> "State":
        """After a run that failed."""
        return replace(self, failures=self.failures + 1, failed=time(), failure=why)

    def write(self, path: Path) -> None:
        """As it lies on the node; a reader sees the old or the new one."""
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=1))
        part.replace(path)


def read(path: Path) -> State:
    """What was written last; nothing where that is lost or broken, and then a copy is taken anew."""
    try:
        return State(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return State()
