"""How much of an engine's answer a relay passes on."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import pytest

from recovery.node import streams
from recovery.node.streams import BLOCK, Sent, pump

CONFIGS, CONFIG = 280, 1000 << 10
"""More of the largest configs than the raft log of a swarm should have."""


@dataclass
class Sink:
    """The engine client's side of a relay."""

    taken: int = 0
    ended: bool = False

    def write(self, data: bytes) -> None:
        self.taken += len(data)

    async def drain(self) -> None:
        """Everything is taken at once."""

    def write_eof(self) -> None:
        self.ended = True


@dataclass
class Engine:
    """Answers with so many blocks."""

    blocks: int

    async def read(self, size: int) -> bytes:
        self.blocks -= 1
        return bytes(size) if self.blocks >= 0 else b""


def relayed(blocks: int, sent: Sent) -> Sink:
    sink = Sink()
    asyncio.run(pump(cast("Any", Engine(blocks)), sink, answers=sent))
    return sink


def test_a_list_of_large_configs_is_passed_on() -> None:
    assert relayed(CONFIGS * CONFIG * 4 // 3 // BLOCK, Sent()).ended


def test_a_longer_answer_is_broken_off_and_the_next_one_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "ENGINES_ANSWER", 3 * BLOCK)
    sent = Sent()
    cut = relayed(4, sent)
    assert (cut.taken, cut.ended) == (3 * BLOCK, False)
    asyncio.run(pump(cast("Any", Engine(1)), Sink(), asks=sent))
    assert relayed(3, sent).ended
