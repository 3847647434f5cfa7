"""Runs the verbs ``watch`` and ``copy``, which systemd starts on a manager, and ``try``, which tries the credentials."""

import os
import sys
from pathlib import Path

from recovery.agent.config import CREDENTIALS, FILE, STATE, Config, from_json
from recovery.errors import RequorumError
from recovery.plain import plain


def main(verb: str, folder: Path = FILE.parent) -> int:
    """Run a verb. ``folder`` holds the agent's configuration. Returns the exit status."""
    if verb == "watch":
        from recovery.agent.diary import SEEN, Diary
        from recovery.agent.watch import Watch
        from recovery.swarm.client import ENGINE_SOCKET

        Watch(Path(ENGINE_SOCKET), Diary(STATE / SEEN)).run()
    credentials = folder / CREDENTIALS.name
    if credentials.exists():
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(credentials)
    config = from_json((folder / FILE.name).read_bytes())
    return _try(config, folder) if verb == "try" else _copy(config)


def _copy(config: Config) -> int:
    from recovery.agent.run import Run as Round

    current = Round(config, STATE)
    status = current.run()
    for fault in current.state.faults.values():
        print(plain(fault), file=sys.stderr)
    return status


def _try(config: Config, folder: Path) -> int:
    from recovery.agent import trial

    try:
        trial.run(config, folder)
    except RequorumError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(Path, sys.argv[2:])))
