"""Starts a round of the agent soon after the swarm changed. It waits for the engine's events, and uses few resources.

The engine sends no event for the swarm's cluster object, such as for a new unlock key. So the watch asks for it
regularly. A change during a round starts another round. The watch's start also starts a round, for earlier changes.
"""

import http.client
import socket
import subprocess
import sys
import threading
from pathlib import Path
from time import sleep

from recovery.agent import order
from recovery.agent.diary import Diary
from recovery.onnode import api
from recovery.plain import line
from recovery.swarm.raft import quorum

DEBOUNCE_SECONDS = 0.3
"""A short wait, because several changes often follow each other."""
PATIENCE_SECONDS = 5.0
"""How long each manager waits for the manager before it, which by then has a copy or is taking one."""
PAUSE_SECONDS = 5.0
"""The wait before an engine that did not answer is asked for its events again."""
ASK_SECONDS = 10.0
"""The wait between an answer about the cluster object and the next request."""
SILENT_SECONDS = 60.0
"""The wait if the engine did not answer, or no quorum exists.

For about 30 s after an engine lost its leader, the request blocks the engine for 20 s. The engine can then neither
leave nor force a new cluster (decision 27).
"""
KNOCK_SECONDS = 1.0
START = ("systemctl", "start", "requorum-copy.service")
LOOK = ("systemctl", "show", "requorum-copy.service", "--property=ActiveState", "--value")


class Watch:
    """Watches the engine at the socket ``path``, and keeps a diary of when there was a quorum."""

    def __init__(self, path: Path, diary: Diary) -> None:
        self._path, self._diary = path, diary
        self._changed = threading.Event()

    def run(self) -> None:
        """Watch for ever."""
        threading.Thread(target=self._listen, name="events", daemon=True).start()
        threading.Thread(target=self._ask, name="swarm", daemon=True).start()
        while True:
            self._changed.wait()
            sleep(DEBOUNCE_SECONDS + PATIENCE_SECONDS * self._rank())
            self._changed.clear()
            if _is_at_it():  # the running round may have missed the change, and this start only waits for its end
                subprocess.run(START, check=False)
            subprocess.run(START, check=False)  # it returns when the round has ended

    def _listen(self) -> None:
        while True:
            try:
                for _ in api.events(self._path):
                    self._changed.set()
            except (api.Refused, OSError, http.client.HTTPException) as error:
                print(line(f"the engine sends no events: {error}"), file=sys.stderr)
            sleep(PAUSE_SECONDS)

    def _ask(self) -> None:
        """Notice changes of the cluster object, which have no event (moby, daemon/cluster: watchClusterEvents)."""
        last, managers = None, list[str]()
        while True:
            version = None
            if not managers or sum(map(_accepts, managers)) >= quorum(len(managers)):
                try:
                    version = api.ask(self._path, "GET", "/swarm")["Version"]["Index"]
                    managers = order.addresses(api.ask(self._path, "GET", "/nodes"))
                except (api.Refused, OSError, http.client.HTTPException) as error:
                    print(line(f"the engine does not answer about its swarm: {error}"), file=sys.stderr)
            else:
                managers = []
            if version is not None and version != last:
                self._changed.set()
            last = version
            self._note(quorum=version is not None)
            sleep(SILENT_SECONDS if version is None else ASK_SECONDS)

    def _note(self, *, quorum: bool) -> None:
        try:
            self._diary.note(quorum=quorum)
        except OSError as error:
            print(line(f"the diary of the quorum cannot be written: {error}"), file=sys.stderr)

    def _rank(self) -> int:
        """How many managers copy before this one. If the engine does not answer, 0, so that the round reports why."""
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
    """Whether a round is running that something else started."""
    return subprocess.run(LOOK, capture_output=True, text=True, check=False).stdout.strip() == "activating"
