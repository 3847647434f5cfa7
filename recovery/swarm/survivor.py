"""What is known of a manager that still has its raft log after the quorum is lost."""

from dataclasses import dataclass

from recovery.swarm.wal import Position
from recovery.swarm.workload import Inventory


@dataclass(frozen=True)
class Survivor:
    """A manager without a leader, and the position at which its log ends."""

    name: str
    position: Position
    locked: bool = False
    """Whether its key file needs the unlock key."""
    damage: str = ""
    """What is wrong with its log. Then the position is where the repaired log ends."""
    claimed: int = 0
    """The last entry that the damaged log shows, as far as it can be read without its checksums."""
    in_place: bool = False
    """Whether the repaired log is in place already."""
    trial: str = ""
    """Why it is unknown whether a new cluster can be forced from the repaired log; empty if one was, in the sandbox."""
    holds: Inventory | None = None
    """What the swarm held that came up from the repaired log in the sandbox."""

    @property
    def useless(self) -> bool:
        """Whether nothing of its log can be used."""
        return not self.position.index

    @property
    def end(self) -> str:
        """Where its log ends, in words."""
        return f"entry {self.position.index} of term {self.position.term}"

    @property
    def cut(self) -> str:
        """Which repaired log ends where; empty if the log is whole."""
        return f"{self.name} at {self.end}" if self.damage else ""

    @property
    def text(self) -> str:
        """The text that preview shows."""
        if self.useless:
            return f"{self.name} (damaged log, of which nothing can be used: {self.damage})"
        term, index, commit = self.position.term, self.position.index, self.position.commit
        what = "damaged log, repaired" if self.damage else "log"
        return f"{self.name} ({what} up to entry {index} of term {term}, committed up to {commit})"
