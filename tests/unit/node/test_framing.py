"""The answer of a command is what follows the mark, however the stream is cut."""

import asyncio
import subprocess
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.node.framing import KEPT, LINE, Frame, FramedSource, framed

NOISE = st.binary(max_size=200).filter(lambda noise: LINE not in noise)


def cut(stream: bytes, points: list[int]) -> list[bytes]:
    places = [0, *sorted(point % (len(stream) + 1) for point in points), len(stream)]
    return [stream[begin:end] for begin, end in pairwise(places) if begin < end]


class Stream:
    """Gives its parts one after the other."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = list(parts)

    async def read(self, _: int) -> bytes:
        return self._parts.pop(0) if self._parts else b""


@given(NOISE, st.binary(max_size=200), st.lists(st.integers(0, 1000), max_size=8))
def test_only_the_answer_comes_through(noise: bytes, answer: bytes, points: list[int]) -> None:
    """Also an answer that holds the mark, and noise that ends with a part of it."""
    parts = cut(noise + LINE + answer + LINE, points)
    frame = Frame()
    assert b"".join(frame.feed(part) for part in parts) == answer + LINE
    assert frame.begun

    async def read() -> bytes:
        source, whole = FramedSource(Stream(parts)), b""
        while data := await source.read(10):
            whole += data
        return whole

    assert asyncio.run(read()) == answer + LINE


@given(NOISE, st.lists(st.integers(0, 1000), max_size=8))
def test_without_a_mark_there_is_no_answer(noise: bytes, points: list[int]) -> None:
    frame = Frame()
    assert b"".join(frame.feed(part) for part in cut(noise, points)) == b""
    assert not frame.begun


def test_endless_noise_is_not_kept() -> None:
    frame = Frame()
    for _ in range(100):
        frame.feed(bytes(KEPT))
    frame.feed(b"the end")
    assert frame.noise.endswith("the end")
    assert len(frame.noise) <= KEPT
    assert frame.feed(LINE + b"answer") == b"answer"


@pytest.mark.parametrize("login", ["sh", "bash", "dash"])
def test_every_login_shell_prints_the_mark_and_becomes_the_command(login: str) -> None:
    done = subprocess.run([login, "-c", framed(["printf", "%s|", "it's", "$HOME", "a  b"])], capture_output=True)
    assert done.stdout == LINE + b"it's|$HOME|a  b|"
    gone = subprocess.run([login, "-c", framed(["no-such-command"])], capture_output=True)
    assert (gone.stdout, gone.returncode) == (LINE, 127)
