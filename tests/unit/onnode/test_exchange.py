"""Two nodes that look at each other: what passes is heard, little is sent twice, and neither leaves the other in doubt."""

from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st

from recovery.onnode.look.exchange import Exchange, Probe, parsed

GOSSIP, SMALL, LARGE = PROBES = (Probe(7946, large=False), Probe(4789, large=False), Probe(4789, large=True))
TICKS, EACH = 33, 9
"""How often a node sends, and how many times of these also to those that it has not heard."""
Way = tuple[int, Probe]
"""Who sends, and what."""


@dataclass
class Side:
    """One of two nodes, from the moment on at which it begins."""

    name: str
    peer: str
    begins: int
    exchange: Exchange = field(init=False)
    sent: list[Probe] = field(default_factory=list)
    ended: int | None = None

    def __post_init__(self) -> None:
        self.exchange = Exchange([self.peer], PROBES, news=SMALL)

    def listens(self, now: int) -> bool:
        return self.begins <= now < self.begins + TICKS and self.ended is None


def talk(
    begins: tuple[int, int], closed: frozenset[Way] = frozenset(), lost: frozenset[int] = frozenset()
) -> tuple[Side, Side]:
    """Let both look, while some ways are closed, and the packets of these numbers are lost."""
    sides = Side("a", "b", begins[0]), Side("b", "a", begins[1])
    number = 0
    for now in range(max(begins) + TICKS):
        for place, side in enumerate(sides):
            other = sides[1 - place]
            if not side.listens(now):
                continue
            again = (now - side.begins) % EACH == 2
            text, probes = side.exchange.due(side.peer, "t1", side.name, again=again)
            for probe in probes:
                number += 1
                side.sent.append(probe)
                told = parsed(f"{text}{'large' if probe.large else 'small'} xx".encode(), "t1")
                assert told
                if other.listens(now) and number not in lost and (place, probe) not in closed:
                    other.exchange.take(told, probe.port)
        for side in sides:
            if side.listens(now) and not side.exchange.left():
                side.ended = now
    return sides


moments = st.tuples(st.integers(0, 20), st.integers(0, 20))
ways = st.frozensets(st.tuples(st.sampled_from((0, 1)), st.sampled_from(PROBES)))


@given(moments, ways)
@example((0, 0), frozenset({(0, SMALL)}))
def test_what_passes_is_heard_and_what_does_not_is_not(begins: tuple[int, int], closed: frozenset[Way]) -> None:
    one, other = talk(begins, closed)
    assert dict.fromkeys(one.exchange.heard) == dict.fromkeys(
        ("b", probe) for probe in PROBES if (1, probe) not in closed
    )
    assert dict.fromkeys(other.exchange.heard) == dict.fromkeys(
        ("a", probe) for probe in PROBES if (0, probe) not in closed
    )


@given(moments)
def test_both_end_soon_after_the_later_begins_and_gossip_gets_few_packets(begins: tuple[int, int]) -> None:
    for side in talk(begins):
        assert side.ended is not None
        assert side.ended - max(begins) <= EACH + 2
        assert side.sent.count(GOSSIP) <= 2 + abs(begins[0] - begins[1]) // EACH


@given(moments, st.frozensets(st.integers(1, 30)))
def test_one_that_ends_leaves_nothing_unheard(begins: tuple[int, int], lost: frozenset[int]) -> None:
    sides = talk(begins, lost=lost)
    for one, other in (sides, sides[::-1]):
        if one.ended is not None and one.ended < one.begins + TICKS:
            assert {probe for _, probe in other.exchange.heard} == {*PROBES}


def test_packets_of_others_are_no_part_of_it() -> None:
    assert parsed(b"requorum-look t2 b 7 small x", "t1") is None
    assert parsed(b"requorum-look t1 b many small x", "t1") is None
    assert parsed(b"\x00\x01", "t1") is None
    exchange = Exchange(["b"], PROBES, news=SMALL)
    told = parsed(b"requorum-look t1 c 7 small x", "t1")
    assert told
    exchange.take(told, 4789)
    assert exchange.heard == []
    assert exchange.left() == {"b"}
