"""Runs one verb and prints its result as JSON.

The verbs are ``take ROOT HOW``, ``examine ROOT``, ``removable ROOT``, ``receive SHA256``, ``prove ARGUMENTS``, ``seal FOLDER
RECIPIENT…``, ``take-data ARGUMENTS`` and ``give-data ARGUMENTS``. ``take-data`` writes the copy itself to standard
output, and its result as the last line of the error output. The program reads secrets from standard input, never from the arguments. If the copy is
damaged, the program exits with 3, and the last line of the error output says why. The verb ``look ARGUMENTS`` is `recovery.onnode.look.main`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from recovery.onnode import copying, process, repair, sandbox, space, streaming
from recovery.onnode.archive import Unfit

BROKEN = 1


def main(program: str, argv: list[str]) -> int:
    """Run one verb. ``program`` is the file of this program."""
    try:
        result = _run(program, *argv)
    except (Unfit, sandbox.Failed) as error:
        print(error, file=sys.stderr)
        return sandbox.AT_FAULT
    except (sandbox.Unable, process.Failed, OSError, subprocess.CalledProcessError) as error:
        print(_why(error), file=sys.stderr)
        return BROKEN
    print(json.dumps(result), file=sys.stderr if argv[0] == "take-data" else sys.stdout)
    return 0


def _why(error: Exception) -> str:
    """The error in words, also if a program is missing on the node."""
    if isinstance(error, FileNotFoundError) and error.filename and "/" not in str(error.filename):
        return f"{error.filename} is missing on the node (requorum check --setup tells how to install it)"
    return str(error)


def _run(program: str, verb: str, *arguments: str) -> Any:
    match verb:
        case "take":
            return copying.take(*arguments)
        case "examine":
            return repair.examine(*arguments)
        case "removable":
            return space.removable(*arguments)
        case "seal":
            folder, *recipients = arguments
            request = json.load(sys.stdin.buffer)
            return copying.seal(Path(folder), recipients, request["manifest"], request["opened"].encode())
        case "receive":
            return copying.receive(sys.stdin.buffer, *arguments)
        case "prove":
            request = json.loads(arguments[0])
            key = sys.stdin.buffer.read()
            return sandbox.prove(program, Path(request["copy"]), request["address"], request["unpacked"], key)
        case "inside":
            request = json.loads(arguments[0])
            key = sys.stdin.buffer.read()
            return sandbox.inside(Path(request["copy"]), request["address"], request["size"], key)
        case "take-data":
            return streaming.take(json.loads(arguments[0]), sys.stdout.buffer, sys.stdin.buffer)
        case "give-data":
            return streaming.give(json.loads(arguments[0]), sys.stdin.buffer)
        case _:
            raise ValueError(verb)
