"""``take ROOT HOW``, ``examine ROOT``, ``removable ROOT``, ``receive SHA256``, ``prove ARGUMENTS``,
``seal FOLDER RECIPIENT…``, ``take-data ARGUMENTS``, ``give-data ARGUMENTS``: what it found, as JSON.

``take-data`` puts out the copy itself, and what it found as the last line of the error output. A secret is read from
standard input, never from the arguments. Ends with 3 where the copy is at fault, and with its fault as the last line of
the error output.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from recovery.onnode import copying, process, repair, sandbox, streaming
from recovery.onnode.archive import Unfit

BROKEN = 1


def main(program: str, argv: list[str]) -> int:
    """Run one verb. ``program`` is the file that this program was started from."""
    try:
        found = _run(program, *argv)
    except (Unfit, sandbox.Failed) as error:
        print(error, file=sys.stderr)
        return sandbox.AT_FAULT
    except (sandbox.Unable, process.Failed, OSError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return BROKEN
    print(json.dumps(found), file=sys.stderr if argv[0] == "take-data" else sys.stdout)
    return 0


def _run(program: str, verb: str, *arguments: str) -> Any:
    match verb:
        case "take":
            return copying.take(*arguments)
        case "examine":
            return repair.examine(*arguments)
        case "removable":
            return repair.removable(*arguments)
        case "seal":
            folder, *recipients = arguments
            given = json.load(sys.stdin.buffer)
            return copying.seal(Path(folder), recipients, given["manifest"], given["opened"].encode())
        case "receive":
            return copying.receive(sys.stdin.buffer, *arguments)
        case "prove":
            given = json.loads(arguments[0])
            key = sys.stdin.buffer.read()
            return sandbox.prove(program, Path(given["copy"]), given["address"], given["unpacked"], key)
        case "inside":
            given = json.loads(arguments[0])
            key = sys.stdin.buffer.read()
            return sandbox.inside(Path(given["copy"]), given["address"], given["size"], key)
        case "take-data":
            return streaming.take(json.loads(arguments[0]), sys.stdout.buffer, sys.stdin.buffer)
        case "give-data":
            return streaming.give(json.loads(arguments[0]), sys.stdin.buffer)
        case _:
            raise ValueError(verb)
