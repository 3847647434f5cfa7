"""Pulumi's locks on a stack in a folder or in S3, and the removal of those whose holder is provably dead."""

import json
import os
import socket
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Literal, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from recovery.cluster import Cluster
from recovery.errors import LocalError, Refused, StoreError
from recovery.pipeline.locks import LONGEST_JOB, Holder, Lease, LeaseState, Lock, Verdict, judge
from recovery.progress import Say
from recovery.s3.lease import FREE, STALE_SECONDS
from recovery.settings import PROJECT
from recovery.settings.project import project_of

LOCKS = ".pulumi/locks/organization"
"""Where Pulumi 3 keeps the locks of projects in a self-managed backend (its pkg/backend/diy)."""
CLOCK_SKEW = timedelta(seconds=5)
PAUSE = 5.0


class Backend(Protocol):
    """A place with locks."""

    def list(self, folder: str) -> dict[str, bytes]:
        """The files of a folder, by key."""

    def remove(self, key: str) -> None:
        """Remove a file. One that is gone already is no error."""


class Folder:
    """A backend in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self, folder: str) -> dict[str, bytes]:
        """The files of a folder."""
        found: dict[str, bytes] = {}
        for file in sorted((self._root / folder).glob("*.json")):
            try:
                found[str(file.relative_to(self._root))] = file.read_bytes()
            except FileNotFoundError:
                continue  # its holder has just given it back
        return found

    def remove(self, key: str) -> None:
        """Remove a file, and what Pulumi keeps beside it."""
        for file in (self._root / key, self._root / f"{key}.attrs"):
            file.unlink(missing_ok=True)


class Bucket:
    """A backend in S3, with the parameters of its URL that Pulumi knows."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        given = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        endpoint = given.get("endpoint", "")
        if endpoint and "//" not in endpoint:
            endpoint = f"{'http' if given.get('disableSSL') == 'true' else 'https'}://{endpoint}"
        style: Literal["path", "auto"] = "path" if given.get("s3ForcePathStyle") == "true" else "auto"
        session = boto3.Session(profile_name=given.get("profile"), region_name=given.get("region"))
        config = Config(s3={"addressing_style": style}, connect_timeout=5, read_timeout=20)
        self._client = session.client("s3", endpoint_url=endpoint or None, config=config)

    def list(self, folder: str) -> dict[str, bytes]:
        """The files of a folder."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._key(f"{folder}/")
        )
        keys = [item["Key"] for page in pages for item in page.get("Contents", ()) if item["Key"].endswith(".json")]
        found: dict[str, bytes] = {}
        for key in keys:
            try:
                found[key] = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            except self._client.exceptions.NoSuchKey:
                continue  # its holder has just given it back
        return found

    def remove(self, key: str) -> None:
        """Remove a file."""
        self._client.delete_object(Bucket=self._bucket, Key=key)

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}" if self._prefix else path


def clear(cluster: Cluster, stack: str, *, after: timedelta = LONGEST_JOB, say: Say) -> list[Verdict]:
    """Remove the stale locks of a stack; the verdict on every lock. Raises: LocalError, StoreError."""
    return _judged(cluster, stack, after=after, remove=True, say=say)


def require_free(cluster: Cluster, stack: str, *, say: Say) -> None:
    """Check that no lock is there whose holder may be alive. Changes nothing. Raises: Refused; LocalError, StoreError."""
    for verdict in _judged(cluster, stack, after=LONGEST_JOB, remove=False, say=say):
        if not verdict.stale:
            raise _locked(stack, verdict)


def _judged(cluster: Cluster, stack: str, *, after: timedelta, remove: bool, say: Say) -> list[Verdict]:
    url = backend_url()
    if (backend := _backend(url)) is None:
        say(_unread(url))
        return []
    name = stack.rpartition("/")[2]
    try:
        locks = [_lock(key, content) for key, content in backend.list(f"{LOCKS}/{_project()}/{name}").items()]
        if not locks:
            return []
        lease = lease_of(cluster)
        verdicts = [judge(lock, holder(lock), lease, datetime.now(UTC), after=after) for lock in locks]
        for verdict in verdicts:
            if remove and verdict.stale:
                backend.remove(verdict.lock.key)
    except (OSError, BotoCoreError, ClientError) as error:
        raise StoreError(
            f"reading Pulumi's locks on stack {name}",
            f"{error}",
            remedy="check PULUMI_BACKEND_URL and its credentials, then run the job again",
            code="backend-failed",
        ) from error
    return verdicts


def wait_until_free(cluster: Cluster, stack: str, *, seconds: float, say: Say) -> None:
    """Remove stale locks, and wait while a lock is there whose holder may be alive.

    Raises: Refused if one is still there after ``seconds``; LocalError, StoreError.
    """
    end, told = monotonic() + seconds, ""
    while True:
        left: Verdict | None = None
        for verdict in clear(cluster, stack, say=say):
            if verdict.stale:
                say(f"removed the lock of {verdict.lock.text}: {verdict.why}")
            else:
                left = verdict
        if left is None:
            return
        if monotonic() >= end:
            raise _locked(stack, left)
        if told != left.lock.key:
            told = left.lock.key
            say(f"waiting for {left.lock.text}: {left.why}")
        sleep(PAUSE)


def _locked(stack: str, left: Verdict) -> Refused:
    return Refused(
        f"updating stack {stack}",
        f"Pulumi's lock is held by {left.lock.text}: {left.why}",
        remedy="run the job again when that process has ended. If you know that it is dead: pulumi cancel",
        code="pulumi-locked",
    )


def _project() -> str:
    """What the project is called in whose folder we are, and in which Pulumi runs."""
    project = project_of(Path.cwd())
    return project.name if project else PROJECT


def _unread(url: str) -> str:
    """Why the locks of a backend are not looked at, and what that means."""
    if url.startswith(("http://", "https://")):
        return "the state is in a service of Pulumi, which ends stale locks itself"
    return (
        f"Requorum does not read locks in {url.partition('://')[0]}://. Pulumi refuses to update a stack that is locked. If you know "
        "that the holder of the lock is dead: pulumi cancel"
    )


def _backend(url: str) -> Backend | None:
    if url.startswith("s3://"):
        return Bucket(url)
    if url.startswith("file://"):
        path = unquote(url.removeprefix("file://").partition("?")[0])
        return Folder(Path(path).expanduser())
    return None


def backend_url() -> str:
    """Where Pulumi keeps the state. Raises: LocalError."""
    if given := os.environ.get("PULUMI_BACKEND_URL"):
        return given
    asked = ["pulumi", "whoami", "--json", "--non-interactive"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
        return str(json.loads(done.stdout)["url"])
    except (OSError, subprocess.CalledProcessError, ValueError, KeyError) as error:
        raise LocalError(
            "finding Pulumi's state",
            "pulumi is not logged in",
            remedy="set PULUMI_BACKEND_URL, or run pulumi login",
            code="backend-failed",
        ) from error


def _lock(key: str, content: bytes) -> Lock:
    """One lock. Of one that cannot be read, nothing is known, so nothing proves that its holder is dead."""
    try:
        found = json.loads(content)
        taken = datetime.fromisoformat(str(found["timestamp"]))
        return Lock(key, int(found["pid"]), str(found["username"]), str(found["hostname"]), taken)
    except (ValueError, KeyError, TypeError):
        return Lock(key, 0, "?", "?", datetime.now(UTC))


def holder(lock: Lock) -> Holder:
    """The process of a lock, as this machine knows it. A younger process that has its number is another one.

    A process that has ended and that nobody has waited for is gone too: in a container without an init, it stays listed.
    """
    if lock.host != socket.gethostname():
        return Holder.ELSEWHERE
    try:
        process = psutil.Process(lock.pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        began = datetime.fromtimestamp(process.create_time(), UTC)
    except psutil.NoSuchProcess:
        return Holder.GONE
    return Holder.RUNS if began <= lock.taken + CLOCK_SKEW and not ended else Holder.GONE


def lease_of(cluster: Cluster, *, pause: Callable[[float], None] = sleep) -> Lease:
    """The cluster's lease. If somebody holds it, it takes `STALE_SECONDS` to see whether it is renewed."""
    key = cluster.settings.keys.lease
    try:
        before = _held(cluster, key)
        if not before:
            return Lease(LeaseState.FREE)
        pause(STALE_SECONDS)
        after = _held(cluster, key)
    except StoreError:
        return Lease(LeaseState.UNKNOWN)
    if not after:
        return Lease(LeaseState.FREE)
    renewed = [content for site, content in after.items() if content != before.get(site)]
    by = _by(next(iter(renewed or after.values())))
    host = by.partition("@")[2].partition(" ")[0]
    return Lease(LeaseState.RENEWED if renewed else LeaseState.RUN_OUT, host, by)


def _held(cluster: Cluster, key: str) -> dict[str, bytes]:
    """The sites at which somebody holds the lease, and its content. Raises: StoreError."""
    return {site.name: content for site, content in cluster.store.looks(key) if content != FREE}


def _by(content: bytes) -> str:
    try:
        return str(json.loads(content)["by"])
    except (ValueError, KeyError, TypeError):
        return "another process"
