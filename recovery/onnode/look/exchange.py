"""What two nodes that look at the same time have heard from each other.

Each packet tells its receiver what its sender has heard from it. So a node sends again only what has not arrived, and knows
when nothing is left to wait for. A packet is `requorum-look TOKEN NODE HEARD SIZE`, and what follows fills it up.
"""

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

PREFIX = b"requorum-look"


class Probe(NamedTuple):
    """One kind of packet. ``large``: as large as those of the overlay networks."""

    port: int
    large: bool


class Told(NamedTuple):
    """What a packet says: who sent it, and which probes its sender has heard from us, a bit for each."""

    peer: str
    heard: int
    large: bool


def parsed(packet: bytes, token: str) -> Told | None:
    """What a packet of this look says; None for any other packet."""
    words = packet.split(b" ", 5)
    if len(words) != 6 or words[0] != PREFIX or words[1] != token.encode() or not words[3].isdigit():
        return None
    return Told(words[2].decode(errors="replace"), int(words[3]), words[4] == b"large")


class Exchange:
    """What this node and each of its peers have heard from each other.

    ``probes`` are numbered by their order. A packet that only tells what was heard is of the kind ``news``.
    """

    def __init__(self, peers: Sequence[str], probes: Sequence[Probe], news: Probe) -> None:
        self._news = news
        self._bits = {probe: 1 << number for number, probe in enumerate(probes)}
        self._all = (1 << len(probes)) - 1
        self._heard = dict.fromkeys(peers, 0)
        self._arrived = dict.fromkeys(peers, 0)
        """What the peers have heard from this node."""
        self._said = dict.fromkeys(peers, 0)
        """What this node has told them that it heard."""
        self._lock = Lock()

    def take(self, told: Told, port: int) -> None:
        """Note a packet that arrived at a port."""
        with self._lock:
            if told.peer in self._heard:
                self._heard[told.peer] |= self._bits.get(Probe(port, told.large), 0)
                self._arrived[told.peer] |= told.heard & self._all

    def due(self, peer: str, token: str, node: str, *, again: bool) -> tuple[str, list[Probe]]:
        """The beginning of the packets to a peer now, and which go: at the least one if it does not know what was heard.

        ``again``: send what has not arrived, also if nothing new was heard.
        """
        with self._lock:
            heard = self._heard[peer]
            news = heard != self._said[peer]
            self._said[peer] = heard
            probes = [probe for probe, bit in self._bits.items() if not self._arrived[peer] & bit]
        text = f"{PREFIX.decode()} {token} {node} {heard} "
        if news:
            return text, probes or [self._news]
        return text, probes if again else []

    def left(self) -> set[str]:
        """The peers with which the exchange is not done."""
        with self._lock:
            return {
                peer
                for peer, heard in self._heard.items()
                if (heard, self._arrived[peer], self._said[peer]) != (self._all,) * 3
            }

    @property
    def heard(self) -> list[tuple[str, Probe]]:
        """Which probes of which peers arrived."""
        with self._lock:
            return [
                (peer, probe) for peer, bits in self._heard.items() for probe, bit in self._bits.items() if bits & bit
            ]
