"""The operator's word that a machine is lost, kept in S3 under ``PREFIX/CLUSTER/lost/NODE.json``.

A survey counts it where a machine is silent and its host driver cannot tell: then the machine is named lost.
What a machine answers always counts more.
"""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recovery.errors import StoreError
from recovery.node.ssh import is_silent
from recovery.s3.clock import SKEW
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Reach

VALID = timedelta(hours=1)
"""A machine that is off now may be on again tomorrow: a word that counted for ever would be a loaded gun."""
KNOCK_SECONDS = 1.0
"""For a machine that has not let us in for `recovery.survey.nodes.CONNECT_SECONDS` to answer in any way."""
SILENCE = (Reach.SILENT, Reach.ABSENT)


@dataclass(frozen=True)
class LossDeclaration:
    """Who named which machine lost, when, and on what grounds."""

    node: str
    address: str
    when: datetime
    how: str
    by: str

    def counts(self, node: Node, now: datetime) -> bool:
        """Whether it is about this node at this address, and not too old."""
        return (self.node, self.address) == (node.name, str(node.address)) and -SKEW <= now - self.when < VALID

    def text(self, now: datetime) -> str:
        """As status and plan show it."""
        minutes = max(0, int((now - self.when).total_seconds() // 60))
        return f"named lost {minutes} min ago by {self.by}: {self.how}"


def apply_declarations(
    reports: Iterable[NodeReport], words: Iterable[LossDeclaration], now: datetime
) -> tuple[NodeReport, ...]:
    """The reports with what was said of machines that do not answer.

    A silent machine is named lost by a word that counts; of one that the driver knows to be gone, the word is told.
    """
    said = {word.node: word for word in words}

    def one(report: NodeReport) -> NodeReport:
        word = said.get(report.node.name)
        if word is None or not word.counts(report.node, now) or report.reach not in SILENCE:
            return report
        reach = Reach.NAMED if report.reach is Reach.SILENT else report.reach
        return replace(report, reach=reach, named=word.text(now))

    return tuple(map(one, reports))


def read_declarations(settings: Settings) -> tuple[LossDeclaration, ...]:
    """Every word in S3; unreadable ones are none. Raises: StoreError."""
    store = Store(settings.backup.sites, hasty=True)
    found = (_parse(store.get(key)) for key in store.keys(settings.keys.lost) if key.endswith(".json"))
    return tuple(word for word in found if word)


def with_declarations(settings: Settings, reports: Iterable[NodeReport], now: datetime) -> tuple[NodeReport, ...]:
    """As `apply_declarations`, with the words in S3. While it cannot be read no word counts, and silent nodes say so.

    A machine that did not let us in within the time limit but accepts or refuses connections is no silent one.
    """
    seen = tuple(reports)
    if not any(report.reach in SILENCE for report in seen):
        return seen
    try:
        words = {word.node: word for word in read_declarations(settings)}
        asked = [report.node for report in seen if report.reach is Reach.SILENT and report.node.name in words]
        with ThreadPoolExecutor(max_workers=max(len(asked), 1)) as pool:
            quiet = pool.map(lambda node: is_silent(node, settings.ssh, seconds=KNOCK_SECONDS), asked)
            loud = {node.name for node, silent in zip(asked, quiet, strict=True) if not silent}
        return apply_declarations(seen, (word for word in words.values() if word.node not in loud), now)
    except StoreError as error:
        unread = f"; S3 was not asked whether it is named lost: {error.why}"
        return tuple(replace(r, detail=r.detail + unread) if r.reach is Reach.SILENT else r for r in seen)


def declare_lost(settings: Settings, word: LossDeclaration) -> None:
    """Write a word down. Raises: StoreError."""
    content = {
        "node": word.node,
        "address": word.address,
        "when": word.when.isoformat(),
        "how": word.how,
        "by": word.by,
    }
    Store(settings.backup.sites).put(settings.keys.lost_node(word.node), json.dumps(content, indent=2).encode())


def withdraw(settings: Settings, node: Node) -> None:
    """Take the word about a node back, where there is one. Raises: StoreError."""
    store, key = Store(settings.backup.sites), settings.keys.lost_node(node.name)
    if key in store.keys(key):
        store.delete(key)


def _parse(content: bytes) -> LossDeclaration | None:
    try:
        raw = json.loads(content)
        when = datetime.fromisoformat(raw["when"])
        return LossDeclaration(raw["node"], raw["address"], when, raw["how"], raw["by"]) if when.tzinfo else None
    except (ValueError, KeyError, TypeError):
        return None
