"""A service's data as a stream: out of a container, packed and sealed on its way; and back in, unpacked.

Nothing of it lies on the node's disk. To a command that reads its standard input, a stream that was cut short looks like
one that ended: such a command is killed before it sees the end.
"""

import fcntl
import hashlib
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO
from uuid import uuid4

from recovery.onnode import volume
from recovery.onnode.process import BLOCK, MARK, POLL, Failed, Process, blocks, kill, running, until_started

LOCKS = Path("/run")


def take(given: Mapping[str, Any], target: BinaryIO, caller: BinaryIO) -> dict[str, Any]:
    """Write the data to ``target``, packed and sealed to age recipients; sizes and digests of both, and whether
    files changed meanwhile (a volume). What was written counts only where this returns.

    When ``caller`` ends, nobody waits for the copy any more, and the command is killed. Raises: Failed; OSError when ``target`` takes no more.
    """
    named = [word for recipient in given["recipients"] for word in ("-r", recipient)]
    pipe = subprocess.PIPE
    mark = uuid4().hex
    begun = time.monotonic()
    with (
        _alone(given["name"]),
        _reader(given, mark) as reading,
        running(["zstd", "-q", "-3", "-c"], stdin=pipe, stdout=pipe) as packing,
        running(["age", "-e", *named], stdin=packing.popen.stdout, stdout=pipe) as sealing,
    ):
        Thread(target=_attend, args=(caller, reading, mark), daemon=True).start()
        assert packing.popen.stdout
        packing.popen.stdout.close()
        plain, sealed = _Measure(), _Measure()
        feeding = Thread(target=_pump, args=(blocks(reading.popen.stdout), packing.popen.stdin, plain), daemon=True)
        feeding.start()
        for block in blocks(sealing.popen.stdout):
            sealed.add(block)
            target.write(block)
        target.flush()
        feeding.join()
        for process in (sealing, packing):  # before the command, which waits where they take no more
            process.require()
        status = reading.require()
        if not plain.size:
            raise Failed(f"{reading.what} wrote nothing")
    return {
        "plain_size": plain.size,
        "plain_sha256": plain.sha256,
        "size": sealed.size,
        "sha256": sealed.sha256,
        "changed": bool(status),
        "seconds": round(time.monotonic() - begun, 3),
    }


def give(given: Mapping[str, Any], content: BinaryIO) -> dict[str, Any]:
    """Unpack ``content`` and give it to the service's command, or put it in place of what its volume holds.

    The command sees the end of the stream only where that is as long as it should be, and has its digest; otherwise it
    is killed. Raises: Failed; OSError.
    """
    begun = time.monotonic()
    with _alone(given["name"]):
        if given["volume"]:
            folder = _folder(given)
            with volume.beside(folder) as new:
                with running(volume.unpack(new), stdin=subprocess.PIPE) as writing:
                    _give(given, content, writing)
                volume.kill_users(given["volume"])
                volume.replace(folder, new)
        else:
            mark = uuid4().hex
            with running(_inside(given, mark, "-i"), mark, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as writing:
                until_started(writing, mark)
                _give(given, content, writing)
    return {"seconds": round(time.monotonic() - begun, 3)}


def _give(given: Mapping[str, Any], content: BinaryIO, writing: Process) -> None:
    with running(["zstd", "-q", "-dc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as unpacking:
        Thread(target=_pump, args=(_arriving(content), unpacking.popen.stdin), daemon=True).start()
        measure = _Measure()
        assert writing.popen.stdin
        try:
            for block in blocks(unpacking.popen.stdout):
                measure.add(block)
                writing.popen.stdin.write(block)
            if (measure.size, measure.sha256) != (given["plain_size"], given["plain_sha256"]):
                raise Failed(
                    f"the stream broke off or was altered: {measure.size} of {given['plain_size']} bytes arrived"
                )
            writing.popen.stdin.close()
        except BrokenPipeError:
            pass  # it ended before it had read everything: its exit status says what that means
        writing.require()


@contextmanager
def _reader(given: Mapping[str, Any], mark: str) -> Iterator[Process]:
    if given["volume"]:
        with running(volume.pack(_folder(given)), stdout=subprocess.PIPE, fine=volume.FINE) as reading:
            yield reading
    else:
        with running(_inside(given, mark), mark, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as reading:
            yield reading


def _folder(given: Mapping[str, Any]) -> Path:
    try:
        return volume.folder(given["container"], given["volume"])
    except volume.Missing as error:
        raise Failed(str(error)) from None


def _inside(given: Mapping[str, Any], mark: str, *options: str) -> list[str]:
    return ["docker", "exec", *options, "--env", f"{MARK}={mark}", given["container"], *given["command"]]


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Raises: Failed while another copies or restores the same data on this node."""
    with (LOCKS / f"requorum-data-{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(f"somebody else copies or restores {name} on this node") from None
        yield


class _Measure:
    """Size and digest of a stream."""

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.sha256()

    def add(self, block: bytes) -> None:
        self.size += len(block)
        self._digest.update(block)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _arriving(content: BinaryIO) -> Iterator[bytes]:
    """What arrives on standard input. Python ends badly while a thread waits in a read of it, so none ever does."""
    while select.select([content], [], []) and (block := content.read1(BLOCK)):  # type: ignore[attr-defined]
        yield block


def _attend(caller: BinaryIO, reading: Process, mark: str) -> None:
    """End what is read from when the caller ends."""
    for _ in _arriving(caller):
        pass
    while reading.popen.poll() is None:  # it may only be about to start in the container
        kill(mark)
        time.sleep(POLL)


def _pump(source: Iterator[bytes], sink: Any, measure: _Measure | None = None) -> None:
    """Write blocks to their end, or until their reader is gone, which tells why."""
    with suppress(BrokenPipeError, ValueError), sink:  # ValueError: either was closed, since all is given up
        for block in source:
            if measure:
                measure.add(block)
            sink.write(block)
