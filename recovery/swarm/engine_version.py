"""Compares releases of the Docker engine, to decide whether an engine can read what another one wrote.

A newer engine reads the raft log of an older one, as it must after an upgrade. An older engine may fail on the log of a
newer one (moby#29557, moby#38014), or silently drop options of a service that it does not know.
"""

import re

from recovery.swarm.address import Address


def is_older(engine: str, maker: str) -> bool:
    """Whether ``engine`` is of an earlier release (such as 20.10) than ``maker``. If either is not known, return False.

    Patch releases (20.10.5, 20.10.24) read each other's logs.
    """
    ours, theirs = _release(engine), _release(maker)
    return bool(ours and theirs) and ours < theirs


def reaches(engine: str, wanted: str) -> bool:
    """Whether an engine is of the version ``wanted``, as far as that is given (28, 28.0, 28.0.4), or of a later one."""
    ours, theirs = _numbers(engine), _numbers(wanted)
    return bool(ours and theirs) and ours[: len(theirs)] >= theirs


FIRST_WITH_IPV6 = "25.0"
"""The release whose overlay networks carry their traffic over IPv6 too (moby#46790)."""


def cannot_carry(engine: str, path: Address) -> bool:
    """Whether an engine of that release cannot send overlay traffic to an address of that family."""
    return path.version == 6 and is_older(engine, FIRST_WITH_IPV6)


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(\.\d+){0,2}", version)
    return tuple(map(int, match.group().split("."))) if match else ()


def _release(version: str) -> tuple[int, ...]:
    match = re.match(r"(\d+)\.(\d+)", version)
    return tuple(map(int, match.groups())) if match else ()
