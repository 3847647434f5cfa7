"""Sends the program of `recovery.onnode` to a node and runs a verb of it there."""

import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Thread
from typing import IO, Any

from recovery.errors import CommandFailed, DamagedCopy, Silent
from recovery.node.garbled import garbled
from recovery.node.reported import FORMS
from recovery.node.shell import Output, Shell, said
from recovery.onnode.sandbox import AT_FAULT
from recovery.swarm import records

SECONDS = 300
MODULES = (
    "__init__", "waiting", "swarm/__init__", "swarm/client", "swarm/crc32c", "swarm/limits", "swarm/protobuf", "swarm/wal",
    "onnode/__init__", "onnode/__main__", "onnode/api", "onnode/archive", "onnode/confined", "onnode/copying", "onnode/repair", "onnode/sandbox", "onnode/space",
    "onnode/process", "onnode/streaming", "onnode/volume", "onnode/look/__init__", "onnode/look/disks", "onnode/look/drbd", "onnode/look/exchange", "onnode/look/layers", "onnode/look/machine",
    "onnode/look/output", "onnode/look/ports", "onnode/look/services", "onnode/look/units",
)  # fmt: skip
MAIN = """import sys
if sys.argv[1] == "look":
    from recovery.onnode.look import main
else:
    from recovery.onnode.__main__ import main
sys.exit(main(sys.argv[0], sys.argv[1:]))
"""
"""All nodes look at the same moment, so a look starts without what the other verbs need."""
LOADER = (
    "import os, sys, zipimport; program = open(os.memfd_create('requorum'), 'wb'); "
    "program.write(sys.stdin.buffer.read(int(sys.argv.pop(1)))); program.flush(); "
    "sys.argv[0] = f'/proc/self/fd/{program.fileno()}'; sys.path.insert(0, sys.argv[0]); "
    "exec(zipimport.zipimporter(sys.argv[0]).get_code('__main__'))"
)
"""Reads the program from the start of standard input and runs it. Arguments: the size of the program, then the verb.

The program lies in memory, because a doctor and a recovery must also run where the disk is full.
"""
PYTHON = ("python3", "-I", "-S", "-c", LOADER)
"""Without the packages and the variables of the node's Python."""


def run(shell: Shell, verb: str, *arguments: str, stdin: bytes = b"", seconds: float = SECONDS) -> Any:
    """Run the verb on the node, and return what it prints as JSON.

    Raises: DamagedCopy if the copy is damaged; Garbled if it prints anything else; CommandFailed if anything else fails; Silent.
    """
    return _told(shell, verb, _run(shell, verb, arguments, packed() + stdin, None, seconds).stdout)


def fetch(shell: Shell, verb: str, *arguments: str, stdout: Path, seconds: float) -> Any:
    """Run a verb whose output is a stream, into a local file, and return what it reports at the end.

    The verb's standard input ends when this process ends. Raises: as `run`.
    """
    with _held_open() as stdin:
        return _told(
            shell, verb, _run(shell, verb, arguments, stdin, stdout, seconds).stderr.strip().rpartition("\n")[2]
        )


def feed(shell: Shell, verb: str, *arguments: str, stdin: IO[bytes], seconds: float) -> Any:
    """Run a verb that reads a stream, which must begin with `packed`, and return its report. Raises: as `run`."""
    return _told(shell, verb, _run(shell, verb, arguments, stdin, None, seconds).stdout)


def _told(shell: Shell, verb: str, text: bytes | str) -> Any:
    """What a verb reported, once it is known to have the form that `reported` describes. Raises: Garbled."""
    try:
        document = records.parsed(text)
        records.typed(FORMS[verb], document)
    except records.Unfit as error:
        raise garbled(shell.node.name, WORDS[verb], f"its report has no such form: {error}") from None
    return document


@contextmanager
def _held_open() -> Iterator[IO[bytes]]:
    """Open a pipe that contains the program and ends with the context. Yields its read end."""
    reading, writing = os.pipe()
    target = os.fdopen(writing, "wb")

    def write() -> None:
        with suppress(OSError):
            target.write(packed())
            target.flush()

    writer = Thread(target=write, daemon=True)
    try:
        with os.fdopen(reading, "rb", buffering=0) as end:
            writer.start()
            yield end
    finally:
        writer.join()
        with suppress(OSError):
            target.close()


def _run(
    shell: Shell, verb: str, arguments: Sequence[str], stdin: bytes | IO[bytes], stdout: Path | None, seconds: float
) -> Output:
    output = shell.run(
        [*PYTHON, str(len(packed())), verb, *arguments],
        stdin=stdin,
        stdout=stdout,
        seconds=seconds,
        check=False,
    )
    if output.status == 0:
        return output
    message = said(output.stderr) or f"exit status {output.status}"
    if output.status == AT_FAULT:
        raise DamagedCopy(
            f"{WORDS[verb]} of {shell.node.name}",
            message,
            remedy="check the node's disk and Docker engine, then run the same command again",
            code="copy-damaged",
        )
    raise CommandFailed(
        WORDS[verb],
        message,
        remedy="repair what the message names, then run the same command again",
        node=shell.node.name,
        code="command-failed",
    )


def clear(shell: Shell, folder: str) -> None:
    """Remove a copy's folder. If the node does not answer, the next copy there removes it."""
    with suppress(Silent):
        shell.run(["rm", "-rf", folder], check=False)


WORDS = {
    "take": "taking a copy",
    "examine": "examining the raft log",
    "look": "looking at its state",
    "removable": "looking for what fills the disk",
    "prove": "proving a copy",
    "seal": "encrypting a copy",
    "receive": "taking a copy to the node",
    "take-data": "copying data",
    "give-data": "restoring data",
}


@cache
def packed() -> bytes:
    """The program as one file. Each call returns the same bytes."""
    root, file = Path(__file__).parent.parent, io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packing:
        for name in MODULES:
            packing.writestr(zipfile.ZipInfo(f"recovery/{name}.py"), (root / f"{name}.py").read_bytes())
        packing.writestr(zipfile.ZipInfo("__main__.py"), MAIN)
    return file.getvalue()
