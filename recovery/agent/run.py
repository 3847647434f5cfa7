"""One round of the agent: a copy if it is time for one, and then all that waits is stored in S3.

systemd never runs two rounds of one node at once; two nodes take a copy at once only where S3 cannot be asked whose turn it is.
"""

import http.client
import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from time import monotonic, time

from recovery.agent import metrics, order, state
from recovery.agent.config import Config
from recovery.agent.order import Mark, Order, View
from recovery.agent.spool import ARCHIVE, KEYS, Entry, Spool, stored_at
from recovery.agent.state import Fault
from recovery.copies import copy, snapshot
from recovery.copies.storing import write
from recovery.errors import DamagedCopy, EngineError, LocalError, Refused, RequorumError, SettingError, StoreError
from recovery.node.local import Local
from recovery.node.shell import DATA_ROOT
from recovery.onnode import api
from recovery.onnode.archive import PLACED
from recovery.s3 import lease
from recovery.s3.site import Site
from recovery.s3.store import Store
from recovery.swarm.key_file import UnlockKey

DONE, FAILED, AGAIN = 0, 1, 75
"""Exit statuses; after the last two systemd runs another round in a while. 75 is EX_TEMPFAIL of sysexits.h."""
DUE = "due"
"""A file that the timer makes: a copy is to be taken whether anything changed or not."""
SPOOL = "spool"
"""What fails beside the sites: reading a copy that waits."""
REFUSED_SECONDS = 900.0
"""For how long others may be at it before that is a fault."""
FAULTS = (RequorumError, OSError, http.client.HTTPException, subprocess.SubprocessError)


class Run:
    """A round with what earlier ones left in ``folder``; `state` is what this one leaves."""

    def __init__(self, config: Config, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._due, self._file = folder / DUE, folder / state.FILE
        self._shell = Local(config)
        self.state = replace(state.read(self._file), attempted=time())

    @property
    def waiting(self) -> tuple[Entry, ...]:
        """The copies that a site does not have yet, newest first; none where the spool cannot be opened, which is a fault."""
        with suppress(OSError):
            return self._spool.entries()
        return ()

    def run(self) -> int:
        """Do what there is to do, until a look at the swarm finds nothing more; the exit status.

        Whatever fails is in the `state` before an error that is none of ours goes on.
        """
        try:
            status = self._until_done()
            self.state = self.state.cleared(Fault.ROUND)
        except FAULTS as error:
            self._fail(Fault.ROUND, error)
            status = FAILED
        except Exception as error:
            why = f"a round broke off by {type(error).__name__}\n  next: journalctl -u requorum-copy"
            self.state = self.state.failing(Fault.ROUND, why)
            self._save()
            raise
        return status if self._save() else FAILED

    def _until_done(self) -> int:
        for torn in self._spool.torn:
            self._damaged(torn)
        while (status := self._once()) is None:
            pass  # what changed meanwhile woke nobody
        return status

    def _once(self) -> int | None:
        """The exit status where nothing more can be done now."""
        view, failed = self._look(), self._unread()
        if view and self._proving(view):
            self.state = replace(self.state, fingerprint=view.fingerprint)
        elif failed:  # it may be the one copy of that
            self.state = replace(self.state, fingerprint="")
        open_faults = self.state.faults.keys() & {Fault.TURN, Fault.STORE}
        if not (self._is_wanted(view) or self.waiting or failed or open_faults):
            return DONE if view else FAILED
        kept: Entry | None = None
        try:
            status = self._in_turn(view, failed) if view else FAILED
        except Refused as error:
            status, kept = self._out_of_turn(error), self._proving(view)
        except StoreError as error:  # a copy is wanted most when S3 takes none
            status = AGAIN
            self._fail(Fault.TURN, error)
            if view and (view.rank == 0 or self._due.exists()) and self._is_wanted(view) and not self._rests(view):
                self._take(view)
            if len(self._store.sites) == 1:
                return status
            self._send_proving(view, failed)
        self._send_rest(failed, kept)
        self.state = self.state.cleared(Fault.STORE)
        if failed:
            self._fail(Fault.STORE, self._unstored(failed))
        return AGAIN if failed and status is None else status

    def _in_turn(self, view: View, failed: dict[str, Exception]) -> int | None:
        """Take a copy where it is this manager's turn, and have it in S3 and noted: the lease is held for that alone.

        Raises: Refused where another holds it; StoreError.
        """
        decided, taken = self._decide(view), True
        if decided is Order.COPY or self._proving(view) or Fault.TURN in self.state.faults:
            whose = f"the agent of {self._config.name}"
            with lease.hold(self._store, self._config.keys.agents_lease, "copying", by=whose, say=_quiet):
                decided = self._decide(view)  # another may have copied while this one waited
                taken = decided is not Order.COPY or self._take(view)
                self._send_proving(view, failed)
            wrong, state = self._store.clock, self.state
            self.state = state.failing(Fault.CLOCK, wrong) if wrong else state.cleared(Fault.CLOCK)
        self.state = replace(self.state, refused=0.0).cleared(Fault.TURN)
        if not taken:
            return FAILED
        return AGAIN if decided is Order.WAIT else None

    def _decide(self, view: View) -> Order:
        """Whose turn it is by what is noted in S3 now, which is remembered. Raises: StoreError."""
        mark, known = self._mark(), self.state
        due, rests = self._due.exists(), self._rests(view)
        decided = order.decide(view, known.fingerprint, known.mark, mark, due=due, resting=rests)
        covered = view.fingerprint if decided is Order.COVERED else known.fingerprint
        self.state = replace(known, mark=mark.copy if mark else "", fingerprint=covered)
        return decided

    def _out_of_turn(self, error: Refused) -> int:
        since = self.state.refused or time()
        self.state = replace(self.state, refused=since).cleared(Fault.TURN)
        if time() - since > REFUSED_SECONDS:
            self._fail(Fault.TURN, error)
        return AGAIN

    def _look(self) -> View | None:
        """The swarm as it is; None, which is a fault, where it has no leader, or a restore of it is not proven yet."""
        socket, doing = self._shell.engine_socket(), "looking at the swarm"
        try:
            info = api.ask(socket, "GET", "/info")
            if Path(info.get("DockerRootDir") or DATA_ROOT, "swarm", PLACED).exists():
                raise EngineError(doing, "a restore of it is under way", remedy="wait", node=self._config.name)
            found = order.view(api.holdings(socket), api.ask(socket, "GET", "/swarm"), info["Swarm"]["NodeID"])
        except (api.Refused, OSError, http.client.HTTPException) as error:
            why = f"{error}; the copies made so far are kept"
            self._fail(Fault.ENGINE, EngineError(doing, why, remedy="requorum status", node=self._config.name))
            return None
        except EngineError as error:
            self._fail(Fault.ENGINE, error)
            return None
        self.state = self.state.cleared(Fault.ENGINE)
        return found

    def _is_wanted(self, view: View | None) -> bool:
        """Whether a copy of it is."""
        return view is not None and (view.fingerprint != self.state.fingerprint or self._due.exists())

    def _rests(self, view: View) -> bool:
        """Whether it is too early to copy it again; a copy that became due since the last try is not too early."""
        try:
            due = self._due.stat().st_mtime > self.state.tried_at
        except FileNotFoundError:
            due = False
        return not due and self.state.resting(view.fingerprint, time())

    def _take(self, view: View) -> bool:
        """Take a copy into the spool; False, which is a fault, where none is there."""
        begun = monotonic()

        def keep(key: UnlockKey) -> None:
            self._seal(key, folder / KEYS / key.escrowed(self._config.escrow))

        try:
            self.state = self.state.trying(view.fingerprint)
            self.state.write(self._file)  # a try that is not remembered would be made without end
            with self._spool.adding(str(int(time() * 1000))) as folder:
                manifest = snapshot.take(self._shell, folder / ARCHIVE, recipients=self._config.recipients, keep=keep)
                self._spool.add(folder, manifest, view.fingerprint)
        except FAULTS as error:
            self.state = self.state.tried_now()
            self._fail(Fault.COPY, error)
            self._save()
            return False
        self._due.unlink(missing_ok=True)
        self.state = self.state.tried_now().copied(manifest, view.fingerprint, monotonic() - begun)
        self._save()
        return True

    def _seal(self, key: UnlockKey, to: Path) -> None:
        if not self._config.escrow:
            why = "is not set, and the swarm is autolocked: a copy is of no use without the unlock key"
            raise SettingError("escrow.recipients", why, remedy="set it, then pulumi up")
        named = [word for recipient in self._config.escrow for word in ("-r", recipient)]
        self._shell.run(["age", "-e", *named, "-o", str(to)], stdin=key.text.encode())

    def _proving(self, view: View | None) -> Entry | None:
        """The newest copy that waits and is a proven one of that."""
        return next((entry for entry in self.waiting if view and entry.proves(view.fingerprint)), None)

    def _send_proving(self, view: View | None, failed: dict[str, Exception]) -> None:
        """Have that at every site, and the others told."""
        if entry := self._proving(view):
            self._send(entry, failed, noted=True)

    def _send_rest(self, failed: dict[str, Exception], kept: Entry | None) -> None:
        """Have the others that wait at every site, which needs no turn; not before a copy that comes to be wanted.

        The one that is ``kept`` for its turn is still to be noted.
        """
        for entry in self.waiting:
            lacking = set(entry.lacking(self._config.places))
            if entry == kept or (lacking and lacking <= failed.keys()):
                continue
            self._send(entry, failed)
            now = self._look()
            if now and self._is_wanted(now) and not self._rests(now):
                return

    def _send(self, entry: Entry, failed: dict[str, Exception], *, noted: bool = False) -> None:
        """Have a copy at the sites that lack it and have not ``failed`` yet: one does not wait for the other."""
        try:
            self._deliver(entry, failed, noted=noted)
        except (LocalError, OSError) as error:
            failed[SPOOL] = error

    def _deliver(self, entry: Entry, failed: dict[str, Exception], *, noted: bool) -> None:
        """The same. Raises: LocalError, OSError."""
        places = self._config.places
        lacking = entry.lacking(places)
        try:
            entry.check()
        except DamagedCopy as error:
            self._spool.set_aside(entry.folder)
            self._damaged(error)
            self._save()
            return
        had = entry.places
        for site in self._store.sites:
            if site.name not in lacking or site.name in failed:
                continue
            try:
                self._store.ask(site, partial(self._put, entry))
            except StoreError as error:
                failed[site.name] = error
            else:
                entry = stored_at(entry, places[site.name])
        if entry.places != had:
            self.state = self.state.sent(entry.manifest)
            if noted:
                self._note(entry, failed)
        if not entry.lacking(places):
            self._spool.remove(entry)
        elif entry.places != had:
            with suppress(OSError):  # it is stored there once more
                self._spool.note(entry)
        self._save()

    def _put(self, entry: Entry, site: Site) -> None:
        """Have a copy at a site: its unlock key first, its manifest last. Raises: StoreError.

        The key is written with each copy, and so is locked for as long as the copy is: whether it is there, and until
        when, an agent may not ask.
        """
        for sealed in entry.keys:
            site.keep(self._config.keys.unlock_keys + sealed.name, sealed.read_bytes())
        write(site, copy.of(entry.manifest, self._config.keys.root), entry.manifest, entry.archive)

    def _note(self, entry: Entry, failed: dict[str, Exception]) -> None:
        """Tell the others that what the swarm holds is in a copy."""
        mark = Mark(entry.fingerprint, copy.of(entry.manifest, self._config.keys.root).name)
        try:
            self._store.put(self._config.keys.agents_mark, json.dumps(asdict(mark)).encode())
        except StoreError as error:
            failed["mark"] = error

    def _mark(self) -> Mark | None:
        """What is noted of the newest copy. Raises: StoreError."""
        found = self._store.look(self._config.keys.agents_mark)
        try:
            return Mark(**json.loads(found)) if found else None
        except (ValueError, TypeError):
            return None

    def _unread(self) -> dict[str, Exception]:
        """A copy that waits and cannot be read now, as what fails."""
        unread = self._spool.unread
        return {SPOOL: unread[0]} if unread else {}

    def _unstored(self, failed: Mapping[str, Exception]) -> str:
        """Which sites lack copies, and why."""
        places, told = self._config.places, []
        for name, error in failed.items():
            lacking = sum(name in entry.lacking(places) for entry in self.waiting)
            first, *rest = str(error).splitlines()
            told.append((f"the {name} site lacks {lacking} copies: {first}" if name in places else first, rest))
        return "\n".join(["; ".join(first for first, _ in told), *(line for _, rest in told for line in rest)])

    def _damaged(self, error: Exception) -> None:
        """A copy in the spool is lost: what it held counts as not copied."""
        self.state = replace(self.state, fingerprint="")
        self._fail(Fault.COPY, error)

    def _fail(self, fault: Fault, why: object) -> None:
        self.state = self.state.failing(fault, str(why))

    def _save(self) -> bool:
        """Write down the state, and tell the monitor; whether both were done."""
        try:
            saved = self.state.cleared(Fault.DISK)
            saved.write(self._file)
            self.state = saved
        except OSError as error:
            self._fail(Fault.DISK, error)
        try:
            metrics.write(self._config, self.state, self.waiting)
        except OSError as error:
            self._fail(Fault.DISK, error)
        return Fault.DISK not in self.state.faults

    @cached_property
    def _store(self) -> Store:
        return Store(self._config.buckets)

    @cached_property
    def _spool(self) -> Spool:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Spool(self._folder / "spool", copies=self._config.spool_copies, size=self._config.spool_bytes)


def _quiet(_: str) -> None:
    """Nobody reads along."""
