"""Pulumi's locks in S3, the cluster's lease beside them, and the answers of a preview."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recovery.cluster import Cluster
from recovery.errors import LocalError, Refused, StoreSilent
from recovery.operations import pulumi_locks
from recovery.operations.pulumi import read_preview
from recovery.operations.pulumi_locks import lease_of
from recovery.pipeline.locks import Holder, Lease, LeaseState, Lock
from recovery.s3.lease import FREE
from tests.unit import factories as make

HELD = {"holder": "t", "by": "runner@runner-1 (process 7)", "doing": "recovery", "turn": 1}
OLD = {"holder": "o", "by": "ops@desk (process 9)", "doing": "recovery", "turn": 3}
"""What a holder left at a site that did not answer when it ended."""
KEY = ".pulumi/locks/organization/requorum/lab/1.json"


Found = Any
"""A lease, or that of each site."""


class Looks:
    """A store whose lease is looked at, and each time is the next of these."""

    def __init__(self, *found: Found) -> None:
        self._found = iter(found)

    def looks(self, _: str) -> Iterator[tuple[SimpleNamespace, bytes]]:
        found = next(self._found)
        if found == b"down":
            raise StoreSilent("asking", "it cannot be reached", remedy="start it")
        for site, content in enumerate(found if isinstance(found, tuple) else (found,)):
            if content is not None:
                yield SimpleNamespace(name=site), json.dumps(content).encode() if isinstance(content, dict) else content


class Half:
    """As much of a cluster as the lease needs."""

    def __init__(self, *found: Found) -> None:
        self.store, self.settings = Looks(*found), make.settings()


def half(*found: Found) -> Cluster:
    return cast(Cluster, Half(*found))


LEASES = [
    ((None,), Lease(LeaseState.FREE)),
    ((FREE,), Lease(LeaseState.FREE)),
    ((HELD, FREE), Lease(LeaseState.FREE)),
    ((HELD, HELD), Lease(LeaseState.RUN_OUT, "runner-1", HELD["by"])),  # type: ignore[arg-type]
    ((HELD, HELD | {"turn": 2}), Lease(LeaseState.RENEWED, "runner-1", HELD["by"])),  # type: ignore[arg-type]
    ((b"down",), Lease(LeaseState.UNKNOWN)),
    ((HELD, b"down"), Lease(LeaseState.UNKNOWN)),
    (((None, HELD), (FREE, HELD)), Lease(LeaseState.RUN_OUT, "runner-1", HELD["by"])),  # type: ignore[arg-type]
    (((OLD, HELD), (OLD, HELD | {"turn": 2})), Lease(LeaseState.RENEWED, "runner-1", HELD["by"])),  # type: ignore[arg-type]
    (((FREE, FREE),), Lease(LeaseState.FREE)),
    ((b"garbled", b"garbled"), Lease(LeaseState.RUN_OUT, "", "another process")),
]


@pytest.mark.parametrize(("found", "lease"), LEASES)
def test_a_lease_runs_out_only_by_watching_it(found: tuple[Any, ...], lease: Lease) -> None:
    waited: list[float] = []
    assert lease_of(half(*found), pause=waited.append) == lease
    assert len(waited) == len(found) - 1 or found[-1] == b"down"


@pytest.fixture
def state(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://copies/some/where?region=us-east-1")
    return bucket


def put(bucket: Any, key: str, content: str) -> Any:
    made = bucket.Object(key)
    made.put(Body=content.encode())
    return made


def held(host: str, pid: int = 2**22 + 1) -> str:
    return json.dumps(
        {"pid": pid, "username": "u", "hostname": host, "timestamp": "2026-01-02T03:04:05.123456789+00:00"}
    )


def test_a_stale_lock_in_s3_is_removed_and_no_other(state: Any) -> None:
    put(state, f"some/where/{KEY}", held(socket.gethostname()))
    put(state, f"some/where/{KEY.replace('lab', 'labour')}", held(socket.gethostname()))
    (verdict,) = pulumi_locks.clear(half(None), "org/requorum/lab", say=print)
    assert verdict.stale
    assert [found.key for found in state.objects.all()] == [f"some/where/{KEY.replace('lab', 'labour')}"]


URLS = {
    "s3://b/p?endpoint=s3.example:9000&disableSSL=true&s3ForcePathStyle=true&region=r": "http://s3.example:9000",
    "s3://b?endpoint=https://s3.example&region=r": "https://s3.example",
    "s3://b?region=eu-west-1": "https://s3.eu-west-1.amazonaws.com",
}


@pytest.mark.parametrize(("url", "endpoint"), URLS.items())
def test_a_backend_s_url_names_its_server(url: str, endpoint: str) -> None:
    assert pulumi_locks.Bucket(url)._client.meta.endpoint_url == endpoint


def test_a_lock_that_cannot_be_read_stays(state: Any) -> None:
    put(state, f"some/where/{KEY}", "{}")
    (verdict,) = pulumi_locks.clear(half(None), "lab", say=print)
    assert not verdict.stale
    assert len(list(state.objects.all())) == 1


def test_a_process_that_ended_and_is_still_listed_is_gone() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        lock = Lock("k", process.pid, "u", socket.gethostname(), datetime.now(UTC))
        assert pulumi_locks.holder(lock) is Holder.RUNS
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert pulumi_locks.holder(lock) is Holder.GONE
    assert pulumi_locks.holder(lock) is Holder.GONE


BACKENDS = [
    ("https://api.example", "ends stale locks itself"),
    ("gs://state", "Requorum does not read locks in gs://. "),
    ("azblob://state?storage_account=s", "Requorum does not read locks in azblob://. "),
]


@pytest.mark.parametrize(("url", "line"), BACKENDS)
def test_a_backend_whose_locks_are_not_read_is_left_alone_and_told(
    url: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setenv("PULUMI_BACKEND_URL", url)
    assert pulumi_locks.clear(half(), "lab", say=said.append) == []
    assert line in said[0]


def test_the_locks_are_those_of_the_project_in_whose_folder_pulumi_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: mine")
    lock = tmp_path / KEY.replace("requorum", "mine")
    lock.parent.mkdir(parents=True)
    lock.write_text(held("elsewhere"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    pulumi_locks.require_free(half(HELD, HELD), "lab", say=print)
    monkeypatch.chdir(lock.parent)
    monkeypatch.setattr(pulumi_locks, "lease_of", lambda _: Lease(LeaseState.UNKNOWN))
    with pytest.raises(Refused, match="u@elsewhere"):
        pulumi_locks.require_free(half(), "org/mine/lab", say=print)


def test_a_lock_that_its_holder_gives_back_between_the_list_and_the_look_is_none(
    state: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = put(state, f"some/where/{KEY}", held(socket.gethostname()))
    backend = pulumi_locks.Bucket(pulumi_locks.backend_url())
    read = backend._client.get_object
    monkeypatch.setattr(backend._client, "get_object", lambda **asked: (made.delete(), read(**asked))[1])
    monkeypatch.setattr(pulumi_locks, "_backend", lambda _: backend)
    assert pulumi_locks.clear(half(), "lab", say=print) == []


def test_nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LocalError) as error:
        pulumi_locks.backend_url()
    assert error.value.code == "backend-failed"


URN = "urn:pulumi:lab::requorum::a:b:C$docker:index/container:Container::worker-2"


def test_a_preview_names_what_changes() -> None:
    answer = {
        "changeSummary": {"same": 1, "create": 1},
        "steps": [{"op": "same", "urn": URN}, {"op": "create", "urn": URN}],
    }
    seen = read_preview(0, json.dumps(answer), "")
    assert seen.counts == {"same": 1, "create": 1}
    assert seen.changed == (("create", "docker:index/container:Container", "worker-2"),)
    assert seen.fault == ()


FAILED = [
    (
        '{"diagnostics": [{"severity": "info", "message": "x"}, {"severity": "error", "message": "why\\n"}]}',
        "",
        ("why",),
    ),
    ("", "no such stack\n", ("no such stack",)),
    ("", "", ("it said nothing",)),
]


@pytest.mark.parametrize(("output", "errors", "fault"), FAILED)
def test_a_preview_that_fails_says_why(output: str, errors: str, fault: tuple[str, ...]) -> None:
    assert read_preview(1, output, errors).fault == fault
