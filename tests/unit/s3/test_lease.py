"""The lease: two never hold it, a dead holder's is taken over, and one process shares it."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from recovery import cli
from recovery.cluster import Cluster
from recovery.errors import Refused, StoreError
from recovery.operations import restart
from recovery.planning.record import NOTHING
from recovery.s3 import lease
from recovery.s3.site import Site
from recovery.settings import Agent, Settings
from recovery.steps import quorum
from recovery.steps.run import Run
from recovery.swarm.model import NodeReport
from tests.unit import factories as make

KEY = "requorum/lab/lease.json"
PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def of(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A holder of this process may come to a stand for seconds, and is alive all the same."""
    times = {"RENEW_SECONDS": 0.05, "STALE_SECONDS": 60.0, "WAIT_SECONDS": 60.0, "PAUSE": 0.02, "SETTLE_SECONDS": 0.1}
    for name, seconds in times.items():
        monkeypatch.setattr(lease, name, seconds)
    return make.settings()


@pytest.fixture
def hasty(of: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits gives up before any lease is stale."""
    monkeypatch.setattr(lease, "WAIT_SECONDS", 1.0)


@pytest.fixture
def stranger(of: Settings, bucket: Any) -> Iterator[lease._Holder]:
    """Another process that holds the lease."""
    holder = lease._Holder(Site(of.backup.sites[0]), KEY, "a stranger")
    holder.acquire("recovery", print)
    yield holder
    holder.release()


def held(bucket: Any) -> bool:
    return bool(bucket.Object(KEY).get()["Body"].read() != lease.FREE)


def test_it_is_there_while_held_and_free_afterwards(of: Settings, bucket: Any) -> None:
    for _ in range(2):
        with Cluster(of).hold("recovery", say=print):
            assert held(bucket)
        assert not held(bucket)
    assert [found.key for found in bucket.objects.all()] == [KEY]


def test_it_is_given_back_when_the_work_fails(of: Settings, bucket: Any) -> None:
    with suppress(ZeroDivisionError), Cluster(of).hold("recovery", say=print):
        raise ZeroDivisionError
    assert not held(bucket)


@pytest.mark.usefixtures("hasty")
def test_a_server_that_neither_has_it_nor_takes_it_is_not_asked_for_ever(
    of: Settings, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Site, "put_where", lambda *_: False)
    with pytest.raises(Refused, match=r"as requorum/lab/lease\.json\n  code: s3-wrong-answer"):
        lease._Holder(Site(of.backup.sites[0]), KEY, "a stranger").acquire("recovery", print)


def test_a_second_operator_is_refused_while_the_first_is_alive(
    of: Settings, stranger: lease._Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 3.0)
    monkeypatch.setattr(lease, "WAIT_SECONDS", 6.0)
    said: list[str] = []
    with (
        pytest.raises(Refused, match=r"\"recovery\" by a stranger \(process \d+\)(?s:.*)code: lease-held"),
        Cluster(of).hold("joining", say=said.append),
    ):
        pass
    assert said[0].startswith("waiting for ")


def test_a_second_operator_goes_on_when_the_first_has_ended(of: Settings, stranger: lease._Holder) -> None:
    timer = threading.Timer(0.3, stranger.release)
    timer.start()
    with Cluster(of).hold("joining", say=print):
        pass
    timer.join()


def test_the_lease_of_a_dead_holder_is_taken_over(
    of: Settings, stranger: lease._Holder, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.5)
    stranger._done.set()
    with Cluster(of).hold("joining", say=print):
        assert b"joining" in bucket.Object(KEY).get()["Body"].read()
    assert not held(bucket)


@pytest.fixture
def with_agents(of: Settings, bucket: Any) -> Iterator[Cluster]:
    cluster = Cluster(of.model_copy(update={"agent": Agent()}))
    yield cluster
    cluster.resume_agents()


def agents_lease(bucket: Any) -> bytes:
    return bytes(bucket.Object("requorum/lab/agent/lease.json").get()["Body"].read())


@pytest.mark.usefixtures("hasty")
def test_agents_pause_until_they_may_go_on(with_agents: Cluster, bucket: Any) -> None:
    for _ in range(2):
        with_agents.pause_agents(say=print)
    assert b"recovery" in agents_lease(bucket)
    agent = lease._Holder(Site(with_agents.settings.backup.sites[0]), "requorum/lab/agent/lease.json", "an agent")
    with pytest.raises(Refused, match="code: lease-held"):
        agent.acquire("copying", print)
    with_agents.resume_agents()
    assert agents_lease(bucket) == lease.FREE
    agent.acquire("copying", print)
    agent.release()


def test_an_agent_that_is_at_it_is_not_waited_for(with_agents: Cluster, bucket: Any) -> None:
    agent = lease._Holder(Site(with_agents.settings.backup.sites[0]), "requorum/lab/agent/lease.json", "an agent")
    agent.acquire("copying", print)
    begun = monotonic()
    with_agents.pause_agents(say=print)
    assert monotonic() - begun < lease.STALE_SECONDS
    sleep(4 * lease.RENEW_SECONDS)
    assert b"recovery" in agents_lease(bucket), "the agent does not take it back"
    agent.release()
    assert b"recovery" in agents_lease(bucket), "nor does it give away what is not its own"


def test_agents_that_cannot_be_stopped_stop_no_recovery(with_agents: Cluster, bucket: Any) -> None:
    bucket.delete()
    said: list[str] = []
    with_agents.pause_agents(say=said.append)
    assert said[0].endswith("before its proof: NoSuchBucket: The specified bucket does not exist")
    with_agents.resume_agents()


INTERRUPTED = """
import atexit
from recovery.cluster import Cluster
from recovery.s3.lease import FREE
from tests.fake.cases import Case, Theatre
from tests.fake.wires import wired

wiring = wired()
wires = wiring.__enter__()
settings = Theatre(wires).stage(Case(3, frozenset())).settings
key = settings.keys.agents_lease
atexit.register(lambda: print(wires.objects[key] == FREE))
Cluster(settings).pause_agents(say=print)
print(wires.objects[key] == FREE)
raise KeyboardInterrupt
"""


def test_an_interrupted_recovery_lets_agents_copy_again_without_a_word() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "True"]
    assert "Exception ignored" not in done.stderr


def test_where_there_are_no_agents_nothing_is_written_for_them(of: Settings, bucket: Any) -> None:
    quorum._pause_agents(Run(Cluster(of), NOTHING, print))
    assert not list(bucket.objects.all())


def joined(cluster: Cluster) -> None:
    with cluster.hold("joining", say=print):
        pass


def test_threads_of_one_process_share_it(of: Settings, bucket: Any) -> None:
    cluster = Cluster(of)
    with cluster.hold("recovery", say=print):
        with ThreadPoolExecutor(max_workers=1) as pool:
            pool.submit(joined, cluster).result()
        assert held(bucket), "the inner one leaves it to the outer"


def test_two_writers_of_the_same_moment_never_both_win(of: Settings, bucket: Any) -> None:
    store = Site(of.backup.sites[0])
    assert store.put_where(KEY, b"one", None)
    assert not store.put_where(KEY, b"two", None)
    found = store.look(KEY)
    assert found is not None
    assert found[0] == b"one"
    assert store.put_where(KEY, b"three", found)
    assert not store.put_where(KEY, b"four", found)


def test_an_answer_that_was_lost_loses_no_lease(
    of: Settings, stranger: lease._Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    real = Site.put_where

    def lost(site: Site, key: str, content: bytes, seen: tuple[bytes, str] | None) -> bool:
        written.append(content)
        real(site, key, content, seen)
        return real(site, key, content, seen)  # what boto3 does where no answer came

    monkeypatch.setattr(Site, "put_where", lost)
    assert stranger._take(stranger._written)
    assert stranger._take(stranger._written)
    assert len(written) >= 2


def test_a_server_without_conditional_writes_is_asked_first(
    of: Settings, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Site(of.backup.sites[0])
    real = store.s3.put_object

    def put_object(**given: Any) -> Any:
        if given.keys() & {"IfMatch", "IfNoneMatch"}:
            raise store.s3.exceptions.ClientError({"Error": {"Code": "NotImplemented", "Message": ""}}, "PutObject")
        return real(**given)

    monkeypatch.setattr(store.s3, "put_object", put_object)
    assert store.put_where(KEY, b"one", None)
    assert not store.put_where(KEY, b"two", None)
    assert store.put_where(KEY, b"three", store.look(KEY))
    assert not store.heeds_conditions(KEY, b"four")


def test_it_is_had_where_a_missing_object_may_not_be_known_of(
    of: Settings, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = Site(of.backup.sites[0]).s3
    real = s3.get_object

    def get_object(**given: Any) -> Any:
        try:
            return real(**given)
        except s3.exceptions.NoSuchKey:
            denied: Any = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(denied, "GetObject") from None

    monkeypatch.setattr(s3, "get_object", get_object)
    for _ in range(2):
        with Cluster(of).hold("recovery", say=print):
            assert held(bucket)


@pytest.fixture
def careless(of: Settings, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server accepts conditions, and writes all the same."""
    s3 = Site(of.backup.sites[0]).s3
    real = s3.put_object

    def put_object(**given: Any) -> Any:
        return real(**{name: value for name, value in given.items() if name not in ("IfMatch", "IfNoneMatch")})

    monkeypatch.setattr(s3, "put_object", put_object)


@pytest.mark.usefixtures("careless", "hasty")
def test_a_server_that_ignores_conditions_has_no_living_holder_overwritten(
    of: Settings, stranger: lease._Holder
) -> None:
    with (
        pytest.raises(Refused, match="code: lease-held"),
        Cluster(of).hold("joining", say=print),
    ):
        pytest.fail("the work began")
    assert stranger._is_ours()


@pytest.mark.usefixtures("careless")
def test_of_two_who_looked_before_either_wrote_the_last_writer_has_it(
    of: Settings, stranger: lease._Holder, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger._done.set()
    assert stranger._stays()
    monkeypatch.setattr(lease, "sleep", lambda _: bucket.Object(KEY).put(Body=b"another's"))
    assert not stranger._stays()


def test_s3_down_is_an_error_before_the_work(of: Settings, bucket: Any) -> None:
    bucket.delete()
    cluster = Cluster(of)
    with pytest.raises(StoreError), cluster.hold("recovery", say=print):
        pytest.fail("the work began")
    assert not cluster.leases._held


def test_a_lease_that_was_taken_over_meanwhile_is_noticed_before_what_cannot_be_taken_back(
    of: Settings, bucket: Any
) -> None:
    """The holder's machine slept: it renewed nothing, and somebody else began."""
    cluster = Cluster(of)
    with cluster.hold("recovery", say=print):
        cluster.require_held("forcing")
        cluster.leases._held[KEY].holders[0]._done.set()
        bucket.Object(KEY).put(Body=b'{"holder": "other", "by": "ops@desk", "doing": "joining"}')
        with pytest.raises(Refused, match=r"\"joining\" by ops@desk(?s:.*)code: lease-lost"):
            cluster.require_held("forcing")


def test_s3_that_does_not_say_whose_the_lease_is_breaks_nothing_off(of: Settings, bucket: Any) -> None:
    cluster = Cluster(of)
    with cluster.hold("recovery", say=print):
        bucket.Object(KEY).delete()
        bucket.delete()
        cluster.require_held("forcing")


@pytest.mark.parametrize("verb", ["restart", "reboot"])
def test_a_manager_is_halted_by_one_operator_at_a_time(
    of: Settings, bucket: Any, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Two at once, each of whom finds that the quorum survives without one, would cost it."""
    alone: list[bool] = []

    def halt(*_: Any, **__: Any) -> NodeReport:
        alone.append(held(bucket))
        return make.leaderless(of.managers[0])

    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    monkeypatch.setattr(restart, verb, halt)
    assert CliRunner().invoke(cli.app, [verb, "manager-a", "--yes"]).exit_code == 0
    assert alone == [True]


def test_a_lease_is_listed_with_its_holder_and_broken_by_the_holders_id(
    of: Settings, bucket: Any, stranger: lease._Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)

    def run(*words: str) -> Any:
        return CliRunner().invoke(cli.app, ["lease", *words])

    shown = run().stdout
    assert '"recovery" by a stranger' in shown
    [holder] = re.findall(r"ID ([0-9a-f]{8})", shown)
    wrong = run("--break", "00000000")
    assert (wrong.exit_code, "code: no-such-name" in wrong.stderr) == (2, True)
    assert held(bucket)
    assert "is free" in run("--break", holder).stdout
    stranger._renewal.join(5)
    assert not held(bucket), "its holder does not take it back"
    assert "nobody holds a lease" in run().stdout


def test_a_lease_that_is_written_without_end_is_refused_with_the_remedy(
    of: Settings, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_object(Key=KEY, Body=b"junk of somebody")
    store = Cluster(of).store
    [holding] = lease.holdings(store, [KEY])
    monkeypatch.setattr(Site, "put_where", lambda *_: False)
    with pytest.raises(Refused, match=r"replace the S3 credentials(?s:.*)code: lease-held$"):
        lease.break_off(store, holding)
