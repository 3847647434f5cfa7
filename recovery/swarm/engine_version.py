"""Releases of the Docker engine: which of them reads what another one wrote.

A newer engine reads an older one's raft log, as it must after an upgrade. An older one may break down over a newer one's
(moby#29557, moby#38014), or drop without a word what it does not know of a service.
"""

import re


def is_older(engine: str, maker: str) -> bool:
    """Whether ``engine`` is of an earlier release (year and month, such as 20.10) than ``maker``. False where either is not known.

    Patches of one release (20.10.5, 20.10.24) read each other's logs.
    """
    ours, theirs = _release(engine), _release(maker)
    return bool(ours and theirs) and ours < theirs


def _release(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()
