"""Streams service data out of a container, compressed and sealed, and back into it.

The node's disk never holds the data. A command that reads its standard input cannot distinguish a broken stream from an
ended one. The program therefore kills such a command before it sees the end of a broken stream.
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
from recovery.swarm.client import DOCKER

LOCKS = Path("/run")


def take(request: Mapping[str, Any], target: BinaryIO, caller: BinaryIO) -> dict[str, Any]:
    """Write the data to ``target``, compressed and sealed to age recipients.

    Returns sizes and digests of the data and of the output, and whether files of a volume changed meanwhile. Only if
    the function returns, the output is a copy. When ``caller`` ends, the function kills the command, because no one
    waits for the copy any more. Raises: Failed; OSError if ``target`` accepts no more.
    """
    options = [word for recipient in request["recipients"] for word in ("-r", recipient)]
    pipe = subprocess.PIPE
    mark = uuid4().hex
    begun = time.monotonic()
    with (
        _alone(request["name"]),
        _reader(request, mark) as reading,
        running(["zstd", "-q", "-3", "-c"], stdin=pipe, stdout=pipe) as packing,
        running(["age", "-e", *options], stdin=packing.popen.stdout, stdout=pipe) as sealing,
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
        for process in (sealing, packing):  # first these: if one of them fails, the command waits
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


def give(request: Mapping[str, Any], content: BinaryIO) -> dict[str, Any]:
    """Decompress ``content`` and send it to the service's command, or replace the files of its volume with it.

    The command sees the end of the stream only if the stream has the right length and digest. Otherwise the function
    kills the command. Raises: Failed; OSError.
    """
    begun = time.monotonic()
    with _alone(request["name"]):
        if request["volume"]:
            folder = _folder(request)
            with volume.aside(request["volume"], folder) as place:
                with running(volume.unpack(place / volume.NEW), stdin=subprocess.PIPE) as writing:
                    _give(request, content, writing)
                volume.exchange(request["volume"], folder, place)
        else:
            mark = uuid4().hex
            with running(
                _inside(request, mark, "-i"), mark, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
            ) as writing:
                until_started(writing, mark)
                _give(request, content, writing)
    return {"seconds": round(time.monotonic() - begun, 3)}


def _give(request: Mapping[str, Any], content: BinaryIO, writing: Process) -> None:
    with running(["zstd", "-q", "-dc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as unpacking:
        Thread(target=_pump, args=(_arriving(content), unpacking.popen.stdin), daemon=True).start()
        measure = _Measure()
        assert writing.popen.stdin
        try:
            for block in blocks(unpacking.popen.stdout):
                measure.add(block)
                writing.popen.stdin.write(block)
            if (measure.size, measure.sha256) != (request["plain_size"], request["plain_sha256"]):
                raise Failed(
                    f"the stream broke off or was altered: {measure.size} of {request['plain_size']} bytes arrived"
                )
            writing.popen.stdin.close()
        except BrokenPipeError:
            pass  # the command ended before it had read everything: its exit status decides
        writing.require()


@contextmanager
def _reader(request: Mapping[str, Any], mark: str) -> Iterator[Process]:
    if request["volume"]:
        with running(volume.pack(_folder(request)), stdout=subprocess.PIPE, fine=volume.FINE) as reading:
            yield reading
    else:
        with running(_inside(request, mark), mark, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as reading:
            yield reading


def _folder(request: Mapping[str, Any]) -> Path:
    try:
        return volume.folder(request["container"], request["volume"])
    except volume.Unusable as error:
        raise Failed(str(error)) from None


def _inside(request: Mapping[str, Any], mark: str, *options: str) -> list[str]:
    return [*DOCKER, "exec", *options, "--env", f"{MARK}={mark}", request["container"], *request["command"]]


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold the lock of the data on this node. Raises: Failed while another process copies or restores the same data."""
    with (LOCKS / f"requorum-data-{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(f"somebody else copies or restores {name} on this node") from None
        yield


class _Measure:
    """Measures the size and digest of a stream."""

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
    """Yield what arrives on standard input. No thread ever waits in a read, because Python could not end then."""
    while select.select([content], [], []) and (block := content.read1(BLOCK)):  # type: ignore[attr-defined]
        yield block


def _attend(caller: BinaryIO, reading: Process, mark: str) -> None:
    """When the caller ends, kill the process that produces the data."""
    for _ in _arriving(caller):
        pass
    while reading.popen.poll() is None:  # the command may not have started in the container yet
        kill(mark)
        time.sleep(POLL)


def _pump(source: Iterator[bytes], sink: Any, measure: _Measure | None = None) -> None:
    """Write all blocks to ``sink``, or until its reader is gone. The reader reports why."""
    with (
        suppress(BrokenPipeError, ValueError),
        sink,
    ):  # ValueError: either end was closed
        for block in source:
            if measure:
                measure.add(block)
            sink.write(block)
