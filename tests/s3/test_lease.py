"""The lease on real servers: one has it at a time, also where the server accepts conditions and ignores them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import pytest

from recovery.errors import Refused
from recovery.s3 import lease
from recovery.s3.client import PATIENT
from recovery.s3.site import Site
from recovery.settings import Settings
from tests.s3.servers import SERVERS, Rclone

KEY = "requorum/lab/lease.json"

Operator = Callable[[str], lease._Holder]


class Untagged(Rclone):
    """The same with one ETag for all objects, as it is before storage that knows no MD5."""

    def _arguments(self) -> list[str | Path]:
        return [*super()._arguments(), "--etag-hash", ""]


pytestmark = pytest.mark.parametrize("server", [*SERVERS, Untagged], indirect=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder of this process may come to a stand for seconds, and is alive all the same."""
    times = {"RENEW_SECONDS": 0.1, "STALE_SECONDS": 60.0, "WAIT_SECONDS": 60.0, "PAUSE": 0.05, "SETTLE_SECONDS": 0.5}
    for name, seconds in times.items():
        monkeypatch.setattr(lease, name, seconds)


@pytest.fixture
def operator(of: Callable[..., Settings]) -> Operator:
    """Another process that wants the lease, and is as patient as in earnest: rclone fails some reads of what is being written."""
    return lambda name: lease._Holder(Site(of().backup.sites[0], pace=PATIENT), KEY, name)


@contextmanager
def holding(holder: lease._Holder) -> Iterator[None]:
    holder.acquire("recovery", print)
    try:
        yield
    finally:
        holder.release()


def test_it_is_given_back_and_had_again(operator: Operator) -> None:
    for name in ("first", "second", "third"):
        with holding(operator(name)):
            pass


def test_a_living_holder_is_waited_for_and_not_overwritten(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    written, put = [], Site._put
    monkeypatch.setattr(lease, "STALE_SECONDS", 3.0)
    monkeypatch.setattr(lease, "WAIT_SECONDS", 6.0)

    def noting(site: Site, key: str, content: bytes, **extra: str) -> None:
        written.append(content)
        put(site, key, content, **extra)

    first = operator("first")
    with holding(first):
        monkeypatch.setattr(Site, "_put", noting)
        with pytest.raises(Refused, match=r"\"recovery\" by first \(process \d+\)(?s:.*)code: lease-held"):
            operator("second").acquire("joining", print)
        assert first._is_ours()
    assert not [content for content in written if b"second" in content]
    assert len(written) > 2, "the first one wrote its own anew"


def test_the_lease_of_a_dead_holder_is_taken_over(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.5)
    dead = operator("dead")
    dead.acquire("recovery", print)
    dead._done.set()
    with holding(operator("second")):
        assert not dead._take(dead._written), "one that comes back to life finds it gone"


def test_of_two_who_looked_before_either_wrote_one_has_it(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "SETTLE_SECONDS", 4.0)
    monkeypatch.setattr(lease, "WAIT_SECONDS", 1.0)
    both_looked, now = threading.Barrier(2), Site._now
    delays: dict[threading.Thread, float] = {}

    def together(site: Site, key: str) -> tuple[bytes, str] | None:
        found = now(site, key)
        delay = delays.pop(threading.current_thread(), None)
        if delay is not None:
            both_looked.wait(timeout=60)
            sleep(delay)
        return found

    monkeypatch.setattr(Site, "_now", together)
    have: list[lease._Holder] = []
    refused: list[Refused] = []

    def start(holder: lease._Holder) -> None:
        try:
            holder.acquire("recovery", print)
        except Refused as error:
            refused.append(error)
        else:
            have.append(holder)

    threads = [threading.Thread(target=start, args=(operator(name),)) for name in ("first", "second")]
    delays.update(zip(threads, (0, 0.4), strict=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (holder,) = have
    assert holder._is_ours()
    assert len(refused) == 1
    holder.release()
