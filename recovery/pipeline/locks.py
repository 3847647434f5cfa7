"""Whether the holder of a lock of Pulumi is provably dead.

Pulumi's lock in a file or in S3 never runs out, and a killed job leaves it. `pulumi cancel` also removes the lock of an
update that goes on. So Requorum removes a lock only on proof.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from recovery.spans import span

LONGEST_JOB = timedelta(minutes=90)
"""Longer than any job of pipelines/ may run (`timeout-minutes`). A forge has ended an older job."""


class Holder(StrEnum):
    """The process of a lock, as this machine knows it."""

    RUNS = "runs"
    GONE = "gone"
    ELSEWHERE = "elsewhere"
    """It is a process of another machine."""


class LeaseState(StrEnum):
    """The cluster's lease in S3."""

    FREE = "free"
    RENEWED = "renewed"
    RUN_OUT = "run out"
    """Its holder has died: it has not renewed the lease in time."""
    UNKNOWN = "unknown"
    """S3 does not tell."""


@dataclass(frozen=True)
class Lock:
    """One lock of Pulumi on a stack."""

    key: str
    pid: int
    user: str
    host: str
    taken: datetime

    @property
    def text(self) -> str:
        """The holder in words."""
        return f"{self.user}@{self.host} (process {self.pid}), since {self.taken:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True)
class Lease:
    """The cluster's lease, as a look at it found it."""

    state: LeaseState
    host: str = ""
    """The machine of its holder."""
    by: str = ""
    """Its holder in words."""


@dataclass(frozen=True)
class Verdict:
    """Whether a lock may be removed, and why."""

    lock: Lock
    stale: bool
    why: str


def judge(lock: Lock, holder: Holder, lease: Lease, now: datetime, *, after: timedelta = LONGEST_JOB) -> Verdict:
    """The verdict on a lock at the time ``now``. A lock that is older than ``after`` belongs to no job that still runs."""
    if holder is Holder.RUNS:
        return Verdict(lock, False, f"process {lock.pid} still runs on this machine")
    if lease.state is LeaseState.RENEWED:
        return Verdict(lock, False, f"{lease.by} still renews the cluster's lease")
    if holder is Holder.GONE:
        return Verdict(lock, True, f"process {lock.pid} of this machine is gone")
    if lease.state is LeaseState.RUN_OUT and lease.host == lock.host:
        return Verdict(lock, True, f"{lease.by} held the cluster's lease there too, and no longer renews it")
    age = now - lock.taken
    if lease.state is LeaseState.FREE and age > after:
        return Verdict(lock, True, f"it is {span(age.total_seconds())} old, and nobody holds the cluster's lease")
    return Verdict(lock, False, f"{lock.host} is another machine, and nothing proves that its process is dead")
