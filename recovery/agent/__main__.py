"""``watch`` and ``copy``: what systemd runs on a manager."""

import os
import sys
from pathlib import Path

from recovery.agent.config import CREDENTIALS, FILE, STATE, from_json


def main(verb: str) -> int:
    """Run a verb; its exit status."""
    if verb == "watch":
        from recovery.agent.watch import Watch
        from recovery.shell import ENGINE_SOCKET

        Watch(Path(ENGINE_SOCKET)).run()
    if CREDENTIALS.exists():
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(CREDENTIALS)
    from recovery.agent import metrics, state
    from recovery.agent.round import FAILED, Round

    config, file = from_json(FILE.read_bytes()), STATE / "state.json"
    try:
        STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
        done = Round(config, STATE, state.read(file))
        status = done.run()
        if done.state.failure:
            print(done.state.failure, file=sys.stderr)
        done.state.write(file)
        metrics.write(config, done.state, done.waiting)
    except OSError as error:  # such as a full disk
        print(error, file=sys.stderr)
        return FAILED
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
