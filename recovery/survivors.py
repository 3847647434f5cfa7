"""Managers that are left without a leader: what their logs hold, and which of them holds most."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from recovery import snapshot
from recovery.copy import Copy
from recovery.errors import DamagedCopy
from recovery.manifest import WITH_INVENTORY, Manifest, Verdict
from recovery.model import Survey
from recovery.settings import Node, Settings
from recovery.transport import Shell
from recovery.wal import Position


@dataclass(frozen=True)
class Survivor:
    """A manager without a leader, and where its log ends."""

    name: str
    position: Position
    locked: bool = False
    """Whether its key file needs the unlock key."""

    @property
    def text(self) -> str:
        """As preview shows it."""
        term, index, commit = self.position.term, self.position.index, self.position.commit
        return f"{self.name} (log up to entry {index} of term {term}, committed up to {commit})"


def rank(survivors: Sequence[Survivor]) -> tuple[Survivor, ...]:
    """The one of which a forced new cluster keeps most first: of the last term, what is known to be committed; names
    decide between equals."""

    def kept(survivor: Survivor) -> tuple[int, int, int, str]:
        end = survivor.position
        return end.term, end.commit, end.index, survivor.name

    return tuple(sorted(survivors, key=kept, reverse=True))


def outrun(best: Survivor, copies: Mapping[Copy, Manifest]) -> Copy | None:
    """The newest of the swarm's copies, where it holds what was committed and what the best survivor never heard of.

    So it is where the survivors were off or cut off while the others, who are lost now, went on. Older copies may be
    of a history that an earlier restore gave up, and say nothing.
    """
    serve = [c for c, m in copies.items() if m.kind in WITH_INVENTORY and m.verdict is not Verdict.FAILED]
    newest = max(serve, key=lambda copy: copy.dated, default=None)
    if newest is None:
        return None
    reached = copies[newest].position
    return newest if (reached.term, reached.commit) > (best.position.term, best.position.index) else None


def look(settings: Settings, survey: Survey) -> tuple[Survivor, ...]:
    """Every survivor of a survey, ranked. Their logs are read where they are, and leave no node.

    Raises: TransportError, DamagedCopy.
    """
    nodes = [report.node for report in survey.managers if report.raft and (report.in_swarm or report.left_over)]

    def read(node: Node) -> Survivor:
        with Shell(node, settings.ssh) as shell:
            try:
                return Survivor(node.name, *snapshot.look(shell))
            except DamagedCopy as error:
                raise DamagedCopy(
                    "reading how far its log reaches",
                    error.why,
                    remedy="keep /var/lib/docker/swarm there aside; to go on without what it holds: docker swarm leave --force, "
                    "there, or where it is in no swarm move that directory away; then run again",
                    node=node.name,
                ) from None

    with ThreadPoolExecutor(max_workers=max(len(nodes), 1)) as pool:
        return rank(tuple(pool.map(read, nodes)))
