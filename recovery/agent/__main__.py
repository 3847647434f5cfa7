"""Runs the verbs ``watch`` and ``copy``, which systemd starts on a manager."""

import os
import sys
from pathlib import Path

from recovery.agent.config import CREDENTIALS, FILE, STATE, from_json


def main(verb: str) -> int:
    """Run a verb. Returns the exit status."""
    if verb == "watch":
        from recovery.agent.watch import Watch
        from recovery.node.shell import ENGINE_SOCKET

        Watch(Path(ENGINE_SOCKET)).run()
    if CREDENTIALS.exists():
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(CREDENTIALS)
    from recovery.agent.run import Run as Round

    current = Round(from_json(FILE.read_bytes()), STATE)
    status = current.run()
    for fault in current.state.faults.values():
        print(fault, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
