"""A lease in S3 that one process holds at a time, such as the lease over a cluster's quorum and membership.

The holder rewrites its lease every few seconds. If the lease has not changed for `STALE_SECONDS`, by the waiting process's
own count, its holder has died and the waiting process takes it over. No clocks are compared. If the S3 server supports
conditional writes, two processes can never both get the lease. On other servers a process reads the lease before it writes,
and again after `SETTLE_SECONDS`. If there is a second site, its lease is held too, because either site may be unreachable.
"""

import getpass
import hashlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from time import monotonic, sleep
from uuid import uuid4

from recovery.errors import Refused, StoreError
from recovery.s3.site import Site
from recovery.s3.store import Store
from recovery.swarm import records

FREE = b"{}"
"""The lease that nobody holds. It is not deleted: in a versioned bucket, some servers take a deleted object for one that is there."""
RENEW_SECONDS = 2.0
STALE_SECONDS = 10.0
WAIT_SECONDS = 60.0
PAUSE = 0.5
SHOWN = 200
"""The most characters of each word in another's lease that a message shows."""
BREAKS = 10
"""How often a lease is tried to be broken: its holder may write it at the same moment."""
SETTLE_SECONDS = 2.0
"""On a server without conditional writes: the longest that another can take from looking to writing."""


class Leases:
    """The leases that this process holds. Its threads share each of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}

    @contextmanager
    def hold(
        self, store: Store, key: str, doing: str, *, by: str, say: Callable[[str], None], at_once: bool = False
    ) -> Iterator[None]:
        """Hold the lease ``key``, which all threads of this process share. Wait while another process holds it.

        Other processes see ``by`` as the holder. With ``at_once`` the lease is taken from its holder without waiting,
        for work that is more urgent than anything else under that lease.

        Raises: Refused when another process still holds it after `WAIT_SECONDS`; StoreError.
        """
        with self._lock:
            held = self._held.get(key)
            if held is None:
                held = self._held[key] = _Held(_acquire(store, key, doing, by, say, at_once))
            held.users += 1
        try:
            yield
        finally:
            with self._lock:
                held.users -= 1
                if not held.users:
                    del self._held[key]
                    _release(held.holders)

    def require(self, key: str, doing: str) -> bool:
        """Check that no other process took over the lease ``key`` while this process held it, for example while it slept.

        Whether each site says that it is ours: where none answers, another operator may have it. Raises: Refused when it was taken over.
        """
        told = [holder.require(doing) for holder in self._held[key].holders]
        return all(told)


def _acquire(store: Store, key: str, doing: str, by: str, say: Callable[[str], None], at_once: bool) -> list["_Holder"]:
    """Get the lease of every site that answers, the main one's first: so two who see different sites still meet."""
    holders: list[_Holder] = []

    def take(site: Site) -> None:
        holder = _Holder(site, key, by)
        holder.acquire(doing, say, at_once=at_once)
        holders.append(holder)

    try:
        store.everywhere(take)
    except BaseException:
        _release(holders)
        raise
    for note in store.notes:
        say(f"lease: {note}")
    return holders


def _release(holders: Iterable["_Holder"]) -> None:
    for holder in holders:
        holder.release()


@dataclass(frozen=True)
class _Content:
    """A lease that somebody holds, as it is stored."""

    holder: str
    by: str
    doing: str
    turn: int = 0
    """Counts the renewals, so that each changes the lease."""


@dataclass
class _Held:
    """The lease as this process holds it, and how many of its threads do."""

    holders: list["_Holder"]
    users: int = 0


class _Holder:
    """This process as the holder of the lease of one site."""

    def __init__(self, store: Site, key: str, by: str) -> None:
        self._store, self._key, self._by = store, key, by
        self._token = uuid4().hex
        self._turn = 0
        self._written: tuple[bytes, str] | None = None
        """Our lease as it lies there; None where it is not ours."""
        self._done = threading.Event()
        self._renewal = threading.Thread(target=self._renew, name="requorum-lease", daemon=True)

    def acquire(self, doing: str, say: Callable[[str], None], *, at_once: bool = False) -> None:
        self._doing = doing
        begun = seen_at = monotonic()
        seen, stale = b"", None
        while not (self._take(stale) and self._stays()):
            found = self._store.look(self._key)
            content = found[0] if found else b""
            free = content == FREE and found != stale  # given back since it was last tried
            if monotonic() - begun > WAIT_SECONDS and not free:
                raise self._swallowed() if content in (b"", FREE) else self._refused(content)
            if content == FREE:
                stale = found
                continue
            if content and not seen:
                say(f"waiting for {_whose(content)} to finish")
            if content != seen:
                seen, seen_at = content, monotonic()
            sleep(PAUSE)
            stale = found if at_once or monotonic() - seen_at >= STALE_SECONDS else None
        self._renewal.start()

    def release(self) -> None:
        self._done.set()
        self._renewal.join()
        with suppress(StoreError):  # it is taken over once it is stale
            if self._written:
                self._store.put_where(self._key, FREE, self._written)

    def require(self, doing: str) -> bool:
        try:
            found = self._store.look(self._key)
        except StoreError:
            return False
        if found and self._token.encode() not in found[0]:
            raise Refused(
                f"{doing} ({self._key})",
                f"this process did not renew its lease in time, and {_whose(found[0])} took it over",
                remedy="wait until that operation ends, then run the same command again",
                code="lease-lost",
            )
        return True

    def _refused(self, content: bytes) -> Refused:
        return Refused(
            f"{self._doing} ({self._key})",
            f"{_whose(content)} still holds the lease",
            remedy="wait until that operation ends, then run the same command again. If it does not end: requorum lease",
            code="lease-held",
        )

    def _swallowed(self) -> Refused:
        return Refused(
            f"{self._doing} ({self._key})",
            f"{self._store.where} shows no lease and stores none. Its server may treat a deleted lease as present",
            remedy=f"write an object with the content {FREE.decode()} as {self._store.own(self._key)}",
            code="s3-wrong-answer",
        )

    def _take(self, seen: tuple[bytes, str] | None) -> bool:
        """Write the lease where there is none, or in place of the one that was ``seen``; whether it is ours now.

        What S3 answers is not enough: where the first answer was lost, the second try is refused by what the first wrote.
        """
        self._turn += 1
        content = _Content(self._token, f"{self._by} (process {os.getpid()})", self._doing, self._turn)
        self._content = json.dumps(asdict(content)).encode()
        self._store.put_where(self._key, self._content, seen)
        return self._is_ours()

    def _stays(self) -> bool:
        """Whether the lease that was taken stays ours.

        Where conditions are not kept, another who looked before we wrote may write after us: the last one has it.
        """
        if self._store.heeds_conditions(self._key, self._content):
            return True
        sleep(SETTLE_SECONDS)
        return self._is_ours()

    def _is_ours(self) -> bool:
        found = self._store.look(self._key)
        self._written = found if found and self._token.encode() in found[0] else None
        return self._written is not None

    def _renew(self) -> None:
        while not self._done.wait(RENEW_SECONDS):
            try:
                if not self._take(self._written) and self._store.look(self._key):
                    return  # another has it, or an operator broke it: `require` tells
            except StoreError:
                continue  # S3 may be back in time; a recovery is not broken off for it


@dataclass(frozen=True)
class Holding:
    """A lease that somebody holds at one site."""

    key: str
    site: str
    id: str
    """Of the holder, in 8 digits. It stays the same as long as the holder renews the lease."""
    whose: str
    """What the holder does, and who that is."""


def holdings(store: Store, keys: Iterable[str]) -> tuple[Holding, ...]:
    """The leases of these keys that somebody holds, at each site. Raises: StoreError."""
    return tuple(
        Holding(key, site.name, _id(content), _whose(content))
        for key in keys
        for site, content in store.looks(key)
        if content != FREE
    )


def break_off(store: Store, holding: Holding) -> None:
    """Take a lease from its holder, who notices it before the next irreversible step, and does not take it back.

    Raises: Refused if the holder has it still, since something writes it again and again; StoreError.
    """
    site = next(site for site in store.sites if site.name == holding.site)
    for _ in range(BREAKS):
        found = site.look(holding.key)
        if found is None or _id(found[0]) != holding.id or site.put_where(holding.key, FREE, found):
            return
    raise Refused(
        f"breaking the lease {holding.key} at {site.where}",
        f"{holding.whose} writes it again and again",
        remedy="replace the S3 credentials that it writes with, then run the same command again",
        code="lease-held",
    )


def _id(content: bytes) -> str:
    try:
        holder = str(json.loads(content)["holder"]).encode()
    except (ValueError, KeyError, TypeError):
        holder = content
    return hashlib.sha256(holder).hexdigest()[:8]


def _whose(content: bytes) -> str:
    try:
        held = records.read(_Content, content)
    except records.Unfit:
        return "another process"
    return f'"{held.doing[:SHOWN]}" by {held.by[:SHOWN]}'


def operator() -> str:
    """The user and host that run this process, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
