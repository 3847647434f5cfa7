"""The operator's declaration that a machine is lost, stored in S3 as ``PREFIX/CLUSTER/lost/NODE.json``.

A declaration is valid if an operator signed it, the machine is silent and its host driver cannot tell. Then the machine is
declared lost. An answer of the machine always overrides it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from recovery.cluster import Cluster
from recovery.errors import StoreError
from recovery.node.signing import Kind
from recovery.node.ssh import is_silent
from recovery.parallel import side_by_side
from recovery.s3.store import Store
from recovery.spans import SKEW
from recovery.swarm import records
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Reach

VALID = timedelta(hours=1)
"""A declaration expires, because a machine that is off now may be on again tomorrow."""
KNOCK_SECONDS = 1.0
"""How long a machine that let nobody in for `recovery.survey.nodes.CONNECT_SECONDS` has to answer in any way."""
SILENCE = (Reach.SILENT, Reach.ABSENT)


@dataclass(frozen=True)
class LossDeclaration:
    """A declaration: who declared which machine lost, when, and how it was lost.

    The machine is the one at the address. The node may have another name by now.
    """

    node: str
    address: str
    when: datetime
    how: str
    by: str
    unsigned: str = ""
    """Why no operator's signature is valid on it; empty if one is."""

    def concerns(self, node: Node, now: datetime) -> bool:
        """Whether the declaration is about the machine of this node, and has not expired."""
        return self.address == str(node.address) and -SKEW <= now - self.when < VALID

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
    only shows the declaration. The report of a silent machine shows a declaration that no operator signed.
    """
    said = _by_address(words)

    def one(report: NodeReport) -> NodeReport:
        word = said.get(str(report.node.address))
        if word is None or not word.concerns(report.node, now) or report.reach not in SILENCE:
            return report
        if word.unsigned:
            told = f"; a declaration that it is lost does not count: {word.unsigned}"
            return replace(report, detail=report.detail + told) if report.reach is Reach.SILENT else report
        reach = Reach.NAMED if report.reach is Reach.SILENT else report.reach
        return replace(report, reach=reach, named=word.text(now))

    return tuple(map(one, reports))


def read_declarations(cluster: Cluster) -> tuple[LossDeclaration, ...]:
    """Every readable declaration in S3: the newest of each node at any site, and one that an operator signed before all others.

    Raises: StoreError.
    """
    found = (words for _, words in _each(cluster, cluster.hasty))
    return tuple(max(words, key=_weight) for words in found if words)


def with_declarations(cluster: Cluster, reports: Iterable[NodeReport], now: datetime) -> tuple[NodeReport, ...]:
    """The reports with the valid declarations in S3. If S3 cannot be read, none is valid, and silent nodes say so.

    A machine that accepts or refuses a connection is not silent, even if it let nobody in within the time limit.
    """
    seen = tuple(reports)
    if not any(report.reach in SILENCE for report in seen):
        return seen
    try:
        words = _by_address(read_declarations(cluster))
        silent = (report.node for report in seen if report.reach is Reach.SILENT)
        asked = [node for node in silent if str(node.address) in words]
        quiet = side_by_side(lambda node: is_silent(node, cluster.settings.ssh, seconds=KNOCK_SECONDS), asked)
        loud = {str(node.address) for node, is_quiet in zip(asked, quiet, strict=True) if not is_quiet}
        return apply_declarations(seen, (word for address, word in words.items() if address not in loud), now)
    except StoreError as error:
        unread = f"; Requorum cannot read from S3 whether it is declared lost: {error.why}"
        return tuple(replace(r, detail=r.detail + unread) if r.reach is Reach.SILENT else r for r in seen)


def declare_lost(cluster: Cluster, word: LossDeclaration) -> None:
    """Sign and store a declaration. Raises: StoreError, SettingError."""
    content = {name: value for name, value in asdict(word).items() if name != "unsigned"}
    key = cluster.settings.keys.lost_node(word.node)
    signed = cluster.operators.sign(Kind.LOST, key, {**content, "when": word.when.isoformat()})
    cluster.store.put(key, signed)


def withdraw(cluster: Cluster, node: Node) -> None:
    """Delete every declaration about a node's machine, under whatever name. Raises: StoreError."""
    store, keys = cluster.store, cluster.settings.keys
    for key, words in tuple(_each(cluster, store)):
        if key == keys.lost_node(node.name) or any(word.address == str(node.address) for word in words):
            store.delete(key)


def _by_address(words: Iterable[LossDeclaration]) -> Mapping[str, LossDeclaration]:
    """The newest declaration about each machine, of those that an operator signed; else of the others."""
    return {word.address: word for word in sorted(words, key=_weight)}


def _weight(word: LossDeclaration) -> tuple[bool, datetime]:
    return not word.unsigned, word.when


def _each(cluster: Cluster, store: Store) -> Iterator[tuple[str, list[LossDeclaration]]]:
    """The key of each declaration, with what each site has under it that can be read: a later one may be at another site."""
    for key, places in store.listed(cluster.settings.keys.lost).items():
        if key.endswith(".json"):
            words = (_parse(cluster, key, content) for _, content in store.looks(key, places))
            yield key, [word for word in words if word]


def _parse(cluster: Cluster, key: str, content: bytes) -> LossDeclaration | None:
    read = cluster.operators.read(Kind.LOST, key, content)
    try:
        return records.typed(LossDeclaration, {**read.document, "unsigned": read.fault})
    except records.Unfit:
        return None
