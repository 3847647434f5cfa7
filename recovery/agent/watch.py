"""Starts a round of the agent soon after the swarm changed. It waits on the engine's events and costs next to nothing.

The engine tells no event of the swarm's own object, such as of another unlock key: it is asked for that one now and then.
Changes that come while a round runs are looked at after it, and those that came while nobody watched at the start.
"""

import http.client
import socket
import subprocess
import sys
import threading
from pathlib import Path
from time import sleep

from recovery.agent import order
from recovery.onnode import api
from recovery.swarm.raft import quorum

DEBOUNCE_SECONDS = 0.3
"""Changes mostly come in bunches."""
PATIENCE_SECONDS = 5.0
"""For how long each manager waits for the one before it, which has copied by then or is at it."""
PAUSE_SECONDS = 5.0
"""Before an engine that does not answer is asked for its events again."""
ASK_SECONDS = 10.0
"""From one answer about the swarm's own object to the next question."""
SILENT_SECONDS = 60.0
"""After none, or where no quorum is there to answer. An engine that lost its leader some 30 s ago or less takes 20 s over that
question, and meanwhile neither leaves nor forces anything (decision 27); later it answers at once."""
KNOCK_SECONDS = 1.0
START = ("systemctl", "start", "requorum-copy.service")
LOOK = ("systemctl", "show", "requorum-copy.service", "--property=ActiveState", "--value")


class Watch:
    """The events of the engine at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Event()

    def run(self) -> None:
        """Watch for ever."""
        threading.Thread(target=self._listen, name="events", daemon=True).start()
        threading.Thread(target=self._ask, name="swarm", daemon=True).start()
        while True:
            self._changed.wait()
            sleep(DEBOUNCE_SECONDS + PATIENCE_SECONDS * self._rank())
            self._changed.clear()
            if _is_at_it():  # that round may have looked before the change, and to start it would be to wait for it
                subprocess.run(START, check=False)
            subprocess.run(START, check=False)  # it returns when the round has ended

    def _listen(self) -> None:
        while True:
            try:
                for _ in api.events(self._path):
                    self._changed.set()
            except (api.Refused, OSError, http.client.HTTPException) as error:
                print(f"the engine tells no events: {error}", file=sys.stderr)
            sleep(PAUSE_SECONDS)

    def _ask(self) -> None:
        """Notice what no event tells (moby, daemon/cluster: watchClusterEvents); after no answer, whatever came meanwhile."""
        seen, managers = None, list[str]()
        while True:
            found = None
            if not managers or sum(map(_accepts, managers)) >= quorum(len(managers)):
                try:
                    found = api.ask(self._path, "GET", "/swarm")["Version"]["Index"]
                    managers = order.addresses(api.ask(self._path, "GET", "/nodes"))
                except (api.Refused, OSError, http.client.HTTPException) as error:
                    print(f"the engine does not tell of its swarm: {error}", file=sys.stderr)
            else:
                managers = []
            if found is not None and found != seen:
                self._changed.set()
            seen = found
            sleep(SILENT_SECONDS if found is None else ASK_SECONDS)

    def _rank(self) -> int:
        """How many managers copy before this one; 0 where that cannot be told, and the round says why."""
        try:
            return order.rank(
                api.ask(self._path, "GET", "/nodes"), api.ask(self._path, "GET", "/info")["Swarm"]["NodeID"]
            )
        except (api.Refused, OSError, http.client.HTTPException):
            return 0


def _accepts(address: str) -> bool:
    """Whether the engine of a manager takes connections at ``HOST:PORT``."""
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()
    except OSError:
        return False
    return True


def _is_at_it() -> bool:
    """Whether a round runs that was started by somebody else."""
    return subprocess.run(LOOK, capture_output=True, text=True, check=False).stdout.strip() == "activating"
