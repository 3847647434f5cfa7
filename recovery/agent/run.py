"""One round of the agent: it takes a copy if one is due, and then stores all waiting copies in S3.

systemd never runs two rounds of one node at once. Two nodes take a copy at once only if S3 cannot tell whose turn it
is.
"""

import http.client
import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from time import monotonic, time

from recovery.agent import diary, metrics, order, state
from recovery.agent.config import Config
from recovery.agent.order import Mark, Order, View
from recovery.agent.spool import ARCHIVE, KEYS, Entry, Spool, stored_at
from recovery.agent.state import AGAIN, DONE, FAILED, Fault
from recovery.copies import copy, snapshot
from recovery.copies.storing import write
from recovery.errors import DamagedCopy, EngineError, LocalError, Refused, RequorumError, SettingError, StoreError
from recovery.node.local import Local
from recovery.node.shell import DATA_ROOT
from recovery.onnode import api
from recovery.onnode.archive import PLACED
from recovery.s3.lease import Leases
from recovery.s3.site import Site
from recovery.s3.store import Store
from recovery.swarm import records
from recovery.swarm.key_file import UnlockKey

DUE = "due"
"""The file that the timer makes. If it exists, the round takes a copy even if nothing changed."""
SPOOL = "spool"
"""The name, next to the names of sites, under which a failed read of a waiting copy is noted."""
REFUSED_SECONDS = 900.0
"""How long other agents may hold the lease before that is a fault."""
FAULTS = (RequorumError, OSError, http.client.HTTPException, subprocess.SubprocessError)


class Run:
    """One round. ``folder`` holds the files of earlier rounds. `state` is the state after this round."""

    def __init__(self, config: Config, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._due, self._file = folder / DUE, folder / state.FILE
        self._shell = Local(config)
        self._leases = Leases()
        self.state = replace(state.read(self._file), attempted=time())

    @property
    def waiting(self) -> tuple[Entry, ...]:
        """The copies that a site does not have yet, newest first. Empty if the spool cannot be opened, a fault."""
        with suppress(OSError):
            return self._spool.entries()
        return ()

    def run(self) -> int:
        """Take and store copies until nothing is left to do. Returns the exit status.

        Every failure is noted in the `state`, also an unexpected error, which is raised again.
        """
        try:
            status = self._until_done()
            self.state = self.state.cleared(Fault.ROUND)
            self._tell()
        except FAULTS as error:
            self._fail(Fault.ROUND, error)
            status = FAILED
        except Exception as error:
            crash = RequorumError(
                "running a round of the agent",
                f"unexpected {type(error).__name__}",
                remedy="on the node: journalctl -u requorum-copy",
                node=self._config.name,
                code="agent-crashed",
            )
            self._fail(Fault.ROUND, crash)
            self._save()
            raise
        return status if self._save() else FAILED

    def _tell(self) -> None:
        """Store when there was a quorum. While S3 takes no copies, it is not asked to take that."""
        if self.state.faults.keys() & {Fault.TURN, Fault.STORE}:
            return
        try:
            diary.tell(self._store, self._config.keys.history(self._config.name), self._folder, self.state.proven)
            self.state = self.state.cleared(Fault.HISTORY)
        except (StoreError, OSError) as error:
            self._fail(Fault.HISTORY, error)

    def _until_done(self) -> int:
        for torn in self._spool.torn:
            self._damaged(torn)
        while (status := self._once()) is None:
            pass  # a change during the round started no other round
        return status

    def _once(self) -> int | None:
        """Take and store copies once. Returns the exit status, or None if another pass may find more to do."""
        view, failed = self._look(), self._unread()
        if view and self._proving(view):
            self.state = replace(self.state, fingerprint=view.fingerprint)
        elif failed:  # the unreadable copy may be the only one of this state of the swarm
            self.state = replace(self.state, fingerprint="")
        open_faults = self.state.faults.keys() & {Fault.TURN, Fault.STORE}
        if not (self._is_wanted(view) or self.waiting or failed or open_faults):
            return DONE if view else FAILED
        kept: Entry | None = None
        try:
            status = self._in_turn(view, failed) if view else FAILED
        except Refused as error:
            status, kept = self._out_of_turn(error), self._proving(view)
        except StoreError as error:  # a copy is most valuable when S3 accepts none
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
        """If it is this manager's turn, take a copy, store it and note it in S3. Only this method uses the lease.

        Raises: Refused if another agent holds the lease; StoreError.
        """
        decision, taken = self._decide(view), True
        if decision is Order.COPY or self._proving(view) or Fault.TURN in self.state.faults:
            whose = f"the agent of {self._config.name}"
            with self._leases.hold(self._store, self._config.keys.agents_lease, "copying", by=whose, say=_quiet):
                decision = self._decide(view)  # another agent may have copied while this one waited
                taken = decision is not Order.COPY or self._take(view)
                self._send_proving(view, failed)
            wrong, state = self._store.clock, self.state
            self.state = state.failing(Fault.CLOCK, wrong) if wrong else state.cleared(Fault.CLOCK)
        self.state = replace(self.state, refused=0.0).cleared(Fault.TURN)
        if not taken:
            return FAILED
        return AGAIN if decision is Order.WAIT else None

    def _decide(self, view: View) -> Order:
        """Decide whose turn it is by the note in S3, and remember the note. Raises: StoreError."""
        mark, known = self._mark(), self.state
        due, rests = self._due.exists(), self._rests(view)
        decision = order.decide(view, known.fingerprint, known.mark, mark, due=due, resting=rests)
        covered = view.fingerprint if decision is Order.COVERED else known.fingerprint
        self.state = replace(known, mark=mark.copy if mark else "", fingerprint=covered)
        return decision

    def _out_of_turn(self, error: Refused) -> int:
        since = self.state.refused or time()
        self.state = replace(self.state, refused=since).cleared(Fault.TURN)
        if time() - since > REFUSED_SECONDS:
            self._fail(Fault.TURN, error)
        return AGAIN

    def _look(self) -> View | None:
        """The swarm as it is now. None, which is a fault, if it has no leader, or a restore is not proven yet."""
        socket, doing, node = self._shell.engine_socket(), "reading the state of the swarm", self._config.name
        try:
            info = api.ask(socket, "GET", "/info")
            if Path(info.get("DockerRootDir") or DATA_ROOT, "swarm", PLACED).exists():
                why, remedy = "a recovery is restoring the swarm", "wait until the recovery is proven: requorum status"
                raise EngineError(doing, why, remedy=remedy, node=node, code="recovery-under-way")
            view = order.view(api.holdings(socket), api.ask(socket, "GET", "/swarm"), info["Swarm"]["NodeID"])
        except (api.Refused, OSError, http.client.HTTPException) as error:
            fault = EngineError(
                doing,
                f"{error}. Earlier copies are kept",
                remedy="requorum status",
                node=node,
                code="engine-refused" if isinstance(error, api.Refused) else "engine-silent",
            )
            self._fail(Fault.ENGINE, fault)
            return None
        except EngineError as error:
            self._fail(Fault.ENGINE, error)
            return None
        self.state = self.state.cleared(Fault.ENGINE)
        return view

    def _is_wanted(self, view: View | None) -> bool:
        """Whether this state of the swarm should be copied."""
        return view is not None and (view.fingerprint != self.state.fingerprint or self._due.exists())

    def _rests(self, view: View) -> bool:
        """Whether it is too early to try again. If a copy became due since the last try, it is never too early."""
        try:
            due = self._due.stat().st_mtime > self.state.tried_at
        except FileNotFoundError:
            due = False
        return not due and self.state.resting(view.fingerprint, time())

    def _take(self, view: View) -> bool:
        """Take a copy into the spool. Returns False, which is a fault, if that failed."""
        begun = monotonic()

        def keep(key: UnlockKey) -> None:
            self._seal(key, folder / KEYS / key.escrowed(self._config.escrow))

        try:
            self.state = self.state.trying(view.fingerprint)
            self.state.write(self._file)  # without a record of the try, the agent would repeat it without end
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
            why = "is not set, but the swarm is autolocked. A copy is useless without the unlock key"
            raise SettingError(
                "escrow.recipients",
                why,
                remedy="set requorum:escrow.recipients, then pulumi up",
                code="no-escrow-recipients",
            )
        options = [word for recipient in self._config.escrow for word in ("-r", recipient)]
        self._shell.run(["age", "-e", *options, "-o", str(to)], stdin=key.text.encode())

    def _proving(self, view: View | None) -> Entry | None:
        """The newest waiting copy that is a proven copy of this state of the swarm."""
        return next((entry for entry in self.waiting if view and entry.proves(view.fingerprint)), None)

    def _send_proving(self, view: View | None, failed: dict[str, Exception]) -> None:
        """Store the proven copy of this state at every site, and note it for the other agents."""
        if entry := self._proving(view):
            self._send(entry, failed, noted=True)

    def _send_rest(self, failed: dict[str, Exception], kept: Entry | None) -> None:
        """Store the other waiting copies at every site, which needs no turn. Stop if a new copy is needed first.

        Does not store ``kept``, which waits for this manager's turn.
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
        """Store a copy at the sites that lack it and have not ``failed`` yet. Neither site waits for the other."""
        try:
            self._deliver(entry, failed, noted=noted)
        except (LocalError, OSError) as error:
            failed[SPOOL] = error

    def _deliver(self, entry: Entry, failed: dict[str, Exception], *, noted: bool) -> None:
        """Check a copy and store it at the sites that lack it. Raises: LocalError, OSError."""
        places = self._config.places
        lacking = entry.lacking(places)
        try:
            entry.check()
        except DamagedCopy as error:
            self._spool.set_aside(entry.folder)
            self._damaged(error)
            self._save()
            return
        places_before = entry.places
        for site in self._store.sites:
            if site.name not in lacking or site.name in failed:
                continue
            try:
                self._store.ask(site, partial(self._put, entry))
            except StoreError as error:
                failed[site.name] = error
            else:
                entry = stored_at(entry, places[site.name])
        if entry.places != places_before:
            self.state = self.state.sent(entry.manifest)
            if noted:
                self._note(entry, failed)
        if not entry.lacking(places):
            self._spool.remove(entry)
        elif entry.places != places_before:
            with suppress(OSError):  # without the note, the copy is stored there once more
                self._spool.note(entry)
        self._save()

    def _put(self, entry: Entry, site: Site) -> None:
        """Store a copy at a site: its unlock key first, its manifest last. Raises: StoreError.

        The agent writes the key with each copy, so that its lock lasts as long as the copy's. An agent may not ask S3
        whether the key exists.
        """
        for sealed in entry.keys:
            site.keep(self._config.keys.unlock_keys + sealed.name, sealed.read_bytes())
        write(site, copy.of(entry.manifest, self._config.keys.root), entry.manifest, entry.archive)

    def _note(self, entry: Entry, failed: dict[str, Exception]) -> None:
        """Note for the other agents that a copy holds this state of the swarm."""
        mark = Mark(entry.fingerprint, copy.of(entry.manifest, self._config.keys.root).name)
        try:
            self._store.put(self._config.keys.agents_mark, json.dumps(asdict(mark)).encode())
        except StoreError as error:
            failed["mark"] = error

    def _mark(self) -> Mark | None:
        """The note about the newest copy, at any site. Raises: StoreError."""
        found: list[tuple[datetime, Mark]] = []
        for _, text in self._store.looks(self._config.keys.agents_mark):
            with suppress(ValueError):
                mark = records.read(Mark, text)
                found.append((copy.taken(mark.copy), mark))
        return max(found, key=lambda one: one[0])[1] if found else None

    def _unread(self) -> dict[str, Exception]:
        """The fault of the first waiting copy that cannot be read now."""
        unread = self._spool.unread
        return {SPOOL: unread[0]} if unread else {}

    def _unstored(self, failed: Mapping[str, Exception]) -> str:
        """Which sites lack copies, and why."""
        places, lines = self._config.places, []
        for name, error in failed.items():
            lacking = sum(name in entry.lacking(places) for entry in self.waiting)
            first, *rest = str(error).splitlines()
            lines.append((f"the {name} site lacks {lacking} copies: {first}" if name in places else first, rest))
        return "\n".join(["; ".join(first for first, _ in lines), *(line for _, rest in lines for line in rest)])

    def _damaged(self, error: Exception) -> None:
        """Record that a copy in the spool is damaged. The state that it held counts as not copied."""
        self.state = replace(self.state, fingerprint="")
        self._fail(Fault.COPY, error)

    def _fail(self, fault: Fault, why: object) -> None:
        self.state = self.state.failing(fault, str(why))

    def _save(self) -> bool:
        """Write the state and the metrics. Returns whether both were written."""
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
    """Ignore a line of progress: an agent has no reader."""
