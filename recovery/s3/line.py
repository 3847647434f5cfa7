"""The line to S3: in which parts an archive is sent, and how much bandwidth it takes (requorum:backup.megabytesPerSecond)."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from threading import Lock

from boto3.s3.transfer import TransferConfig

PART = 8 * 2**20
"""Bytes; what is larger is sent in parts of this size."""
THREADS = 4


@dataclass(frozen=True)
class Line:
    """The line that all transfers of this process share."""

    transfer: TransferConfig
    turn: AbstractContextManager[object]
    """Held during a transfer. With a limit, one transfer runs at a time: otherwise each would use the whole limit."""


@cache
def line(megabytes_per_second: float | None) -> Line:
    """The line with that limit of 10**6 bytes a second, the same for every site. None is no limit."""
    transfer = TransferConfig(
        multipart_threshold=PART,
        multipart_chunksize=PART,
        max_concurrency=THREADS,
        max_bandwidth=int(megabytes_per_second * 10**6) if megabytes_per_second else None,
        preferred_transfer_client="classic",  # the other one knows no limit of bandwidth
    )
    return Line(transfer, Lock() if megabytes_per_second else nullcontext())
