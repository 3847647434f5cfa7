"""The operator's declaration that a machine is lost, stored in S3 as ``PREFIX/CLUSTER/lost/NODE.json``.

A declaration is valid if the machine is silent and its host driver cannot tell. Then the machine is declared lost.
An answer of the machine always overrides it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from recovery.cluster import Cluster
from recovery.errors import StoreError
from recovery.node.ssh import is_silent
from recovery.parallel import side_by_side
from recovery.s3.clock import SKEW
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Reach

VALID = timedelta(hours=1)
"""A declaration expires, because a machine that is off now may be on again tomorrow."""
KNOCK_SECONDS = 1.0
"""How long a machine that let nobody in for `recovery.survey.nodes.CONNECT_SECONDS` has to answer in any way."""
SILENCE = (Reach.SILENT, Reach.ABSENT)


@dataclass(frozen=True)
class LossDeclaration:
    """A declaration: who declared which machine lost, when, and how it was lost."""

    node: str
    address: str
    when: datetime
    how: str
    by: str

    def counts(self, node: Node, now: datetime) -> bool:
        """Whether the declaration is about this node at this address, and has not expired."""
        return (self.node, self.address) == (node.name, str(node.address)) and -SKEW <= now - self.when < VALID

    def text(self, now: datetime) -> str:
        """The declaration as status and plan show it."""
        minutes = max(0, int((now - self.when).total_seconds() // 60))
        end = (self.when + VALID).astimezone(UTC)
        return f"declared lost {minutes} min ago by {self.by}: {self.how} (valid until {end:%H:%M} UTC)"


def apply_declarations(
    reports: Iterable[NodeReport], words: Iterable[LossDeclaration], now: datetime
) -> tuple[NodeReport, ...]:
    """The reports with the valid declarations about machines that do not answer.

    A silent machine with a valid declaration is declared lost. If the driver knows that the machine is gone, the report
    only shows the declaration.
    """
    said = {word.node: word for word in words}

    def one(report: NodeReport) -> NodeReport:
        word = said.get(report.node.name)
        if word is None or not word.counts(report.node, now) or report.reach not in SILENCE:
            return report
        reach = Reach.NAMED if report.reach is Reach.SILENT else report.reach
        return replace(report, reach=reach, named=word.text(now))

    return tuple(map(one, reports))


def read_declarations(cluster: Cluster) -> tuple[LossDeclaration, ...]:
    """Every readable declaration in S3. Raises: StoreError."""
    store = cluster.hasty
    found = (_parse(store.get(key)) for key in store.keys(cluster.settings.keys.lost) if key.endswith(".json"))
    return tuple(word for word in found if word)


def with_declarations(cluster: Cluster, reports: Iterable[NodeReport], now: datetime) -> tuple[NodeReport, ...]:
    """The reports with the valid declarations in S3. If S3 cannot be read, none is valid, and silent nodes say so.

    A machine that accepts or refuses a connection is not silent, even if it let nobody in within the time limit.
    """
    seen = tuple(reports)
    if not any(report.reach in SILENCE for report in seen):
        return seen
    try:
        words = {word.node: word for word in read_declarations(cluster)}
        asked = [report.node for report in seen if report.reach is Reach.SILENT and report.node.name in words]
        quiet = side_by_side(lambda node: is_silent(node, cluster.settings.ssh, seconds=KNOCK_SECONDS), asked)
        loud = {node.name for node, silent in zip(asked, quiet, strict=True) if not silent}
        return apply_declarations(seen, (word for word in words.values() if word.node not in loud), now)
    except StoreError as error:
        unread = f"; Requorum cannot read from S3 whether it is declared lost: {error.why}"
        return tuple(replace(r, detail=r.detail + unread) if r.reach is Reach.SILENT else r for r in seen)


def declare_lost(cluster: Cluster, word: LossDeclaration) -> None:
    """Store a declaration. Raises: StoreError."""
    content = {
        "node": word.node,
        "address": word.address,
        "when": word.when.isoformat(),
        "how": word.how,
        "by": word.by,
    }
    cluster.store.put(cluster.settings.keys.lost_node(word.node), json.dumps(content, indent=2).encode())


def withdraw(cluster: Cluster, node: Node) -> None:
    """Delete the declaration about a node, if there is one. Raises: StoreError."""
    store, key = cluster.store, cluster.settings.keys.lost_node(node.name)
    if key in store.keys(key):
        store.delete(key)


def _parse(content: bytes) -> LossDeclaration | None:
    try:
        raw = json.loads(content)
        when = datetime.fromisoformat(raw["when"])
        return LossDeclaration(raw["node"], raw["address"], when, raw["how"], raw["by"]) if when.tzinfo else None
    except (ValueError, KeyError, TypeError):
        return None
