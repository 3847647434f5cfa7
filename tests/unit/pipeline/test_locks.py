"""When a lock of Pulumi may be removed."""

from datetime import timedelta

import pytest

from recovery.pipeline.locks import Holder, Lease, LeaseState, Lock, judge
from tests.unit import factories as make

LOCK = Lock("k", 17, "runner", "runner-1", make.NOW - timedelta(minutes=5))
OLD = Lock("k", 17, "runner", "runner-1", make.NOW - timedelta(minutes=91))
FREE, UNKNOWN = Lease(LeaseState.FREE), Lease(LeaseState.UNKNOWN)
DEAD_THERE = Lease(LeaseState.RUN_OUT, "runner-1", "runner@runner-1 (process 18)")
DEAD_ELSEWHERE = Lease(LeaseState.RUN_OUT, "laptop", "ann@laptop (process 18)")
ALIVE = Lease(LeaseState.RENEWED, "runner-1", "runner@runner-1 (process 18)")
TABLE = [
    ("it runs here", LOCK, Holder.RUNS, FREE, False),
    ("it runs here, and is old", OLD, Holder.RUNS, DEAD_THERE, False),
    ("it is gone", LOCK, Holder.GONE, FREE, True),
    ("it is gone, and S3 does not answer", LOCK, Holder.GONE, UNKNOWN, True),
    ("it is gone, and its provider lives on", LOCK, Holder.GONE, ALIVE, False),
    ("elsewhere, its lease ran out", LOCK, Holder.ELSEWHERE, DEAD_THERE, True),
    ("elsewhere, the lease of a third ran out", LOCK, Holder.ELSEWHERE, DEAD_ELSEWHERE, False),
    ("elsewhere, and alive", OLD, Holder.ELSEWHERE, ALIVE, False),
    ("elsewhere, without a lease", LOCK, Holder.ELSEWHERE, FREE, False),
    ("elsewhere, without a lease, older than any job", OLD, Holder.ELSEWHERE, FREE, True),
    ("elsewhere, old, and S3 does not answer", OLD, Holder.ELSEWHERE, UNKNOWN, False),
]


@pytest.mark.parametrize(
    ("lock", "holder", "lease", "stale"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_lock_is_stale_only_on_proof(lock: Lock, holder: Holder, lease: Lease, stale: bool) -> None:
    verdict = judge(lock, holder, lease, make.NOW)
    assert verdict.stale is stale
    assert verdict.why
