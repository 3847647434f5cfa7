"""One round of the agent: a copy if it is time for one, and then all that waits is stored in S3.

systemd never runs two rounds of one node at once; those of two nodes overlap only where S3 cannot be asked whose turn it is.
"""

import http.client
import json
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic, time

from recovery import copy, lease, snapshot
from recovery.agent import turn
from recovery.agent.config import Config
from recovery.agent.local import Local
from recovery.agent.spool import ARCHIVE, Entry, Spool
from recovery.agent.state import State
from recovery.agent.turn import Mark, Turn, View
from recovery.errors import EngineError, Refused, RequorumError, SettingError, StoreError
from recovery.keyfile import ESCROW, SUFFIX, UnlockKey
from recovery.onnode import api
from recovery.onnode.archive import PLACED
from recovery.shell import DATA_ROOT
from recovery.site import Site
from recovery.store import Store

DONE, FAILED, AGAIN = 0, 1, 75
"""Exit statuses; after the last two systemd runs another round in a while. 75 is EX_TEMPFAIL of sysexits.h."""
LEASE, MARK = "agent/lease.json", "agent/mark.json"
DUE = "due"
"""A file that the timer makes: a copy is to be taken whether anything changed or not."""
FAULTS = (RequorumError, OSError, http.client.HTTPException, subprocess.SubprocessError)


class Round:
    """A round with what earlier ones left in ``folder``; `state` is what this one leaves."""

    def __init__(self, config: Config, folder: Path, before: State) -> None:
        self._config, self._due = config, folder / DUE
        self._shell, self._store = Local(config), Store(config.buckets)
        self._spool = Spool(folder / "spool", copies=config.spool_copies, size=config.spool_bytes)
        self.state = replace(before, attempted=time(), failure="")

    @property
    def waiting(self) -> tuple[Entry, ...]:
        """The copies that S3 does not have yet, newest first."""
        return self._spool.entries()

    def run(self) -> int:
        """Do what there is to do; the exit status."""
        try:
            view = self._look()
            changed = view.fingerprint != self.state.fingerprint
            if not (changed or self._due.exists() or self.waiting):
                return DONE
            return self._with_s3(view)
        except FAULTS as error:
            self.state = self.state.failing(str(error))
            return FAILED

    def _with_s3(self, view: View) -> int:
        whose = f"the agent of {self._config.name}"
        try:
            with lease.hold(self._store, self._config.prefix + LEASE, "copying", by=whose, say=_quiet):
                return self._in_turn(view)
        except Refused:
            return AGAIN
        except StoreError as error:  # a copy is wanted most when S3 takes none
            if self._due.exists() or (view.rank == 0 and view.fingerprint != self.state.fingerprint):
                self._take(view)
            self.state = self.state.failing(str(error))
            return AGAIN

    def _in_turn(self, view: View) -> int:
        mark = self._mark()
        decided = turn.decide(view, self.state.fingerprint, self.state.mark, mark)
        if self._due.exists():
            decided = Turn.COPY
        self.state = replace(self.state, mark=mark.copy if mark else "")
        if decided is Turn.COVERED:
            self.state = replace(self.state, fingerprint=view.fingerprint)
        if decided is Turn.COPY:
            self._take(view)
        for entry in self.waiting:
            self._send(entry)
        if self._store.clock:
            self.state = self.state.failing(self._store.clock)
        return AGAIN if decided is Turn.WAIT else DONE

    def _look(self) -> View:
        """The swarm as it is. Raises: EngineError where it has no leader, or a restore of it is not proven yet."""
        socket, doing = self._shell.engine_socket(), "looking at the swarm"
        try:
            info = api.ask(socket, "GET", "/info")
            if Path(info.get("DockerRootDir") or DATA_ROOT, "swarm", PLACED).exists():
                raise EngineError(doing, "a restore of it is under way", remedy="wait", node=self._config.name)
            return turn.view(api.holdings(socket), api.ask(socket, "GET", "/swarm"), info["Swarm"]["NodeID"])
        except (api.Refused, OSError, http.client.HTTPException) as error:
            why = f"{error}; the copies made so far are kept"
            raise EngineError(doing, why, remedy="requorum status", node=self._config.name) from None

    def _take(self, view: View) -> None:
        """Take a copy into the spool. Raises: as `snapshot.take`; OSError."""
        begun = monotonic()
        with self._spool.adding(str(int(time() * 1000))) as folder:

            def keep(key: UnlockKey) -> None:
                if key.fingerprint != self.state.key:
                    self._seal(key, folder / key.escrowed)

            manifest = snapshot.take(self._shell, folder / ARCHIVE, recipients=self._config.recipients, keep=keep)
            self._spool.add(folder, manifest)
        self._due.unlink(missing_ok=True)
        self.state = self.state.copied(manifest, view.fingerprint, monotonic() - begun)

    def _seal(self, key: UnlockKey, to: Path) -> None:
        if not self._config.escrow:
            why = "is not set, and the swarm is autolocked: a copy is of no use without the unlock key"
            raise SettingError("escrow.recipients", why, remedy="set it, then pulumi up")
        named = [word for recipient in self._config.escrow for word in ("-r", recipient)]
        self._shell.run(["age", "-e", *named, "-o", str(to)], stdin=key.text.encode())

    def _send(self, entry: Entry) -> None:
        """Have a copy in S3: its unlock key first, its manifest last. Raises: StoreError; OSError."""
        for sealed in entry.keys:
            self._keep(ESCROW + sealed.name, sealed.read_bytes())
            self.state = replace(self.state, key=sealed.name.removesuffix(SUFFIX))
        stored = copy.store(self._store, self._config.prefix, entry.manifest, entry.archive)
        self._spool.remove(entry)
        self.state = replace(self.state, stored=time())
        if entry.manifest.taken.timestamp() == self.state.proven:
            mark = Mark(self.state.fingerprint, stored.name)
            self._store.put(self._config.prefix + MARK, json.dumps(asdict(mark)).encode())

    def _keep(self, name: str, content: bytes) -> None:
        def keep(site: Site) -> None:
            site.keep(self._config.prefix + name, content)

        self._store.everywhere(keep)

    def _mark(self) -> Mark | None:
        """What is noted of the newest copy. Raises: StoreError."""
        found = self._store.look(self._config.prefix + MARK)
        try:
            return Mark(**json.loads(found)) if found else None
        except (ValueError, TypeError):
            return None


def _quiet(_: str) -> None:
    """Nobody reads along."""
