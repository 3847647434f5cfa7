"""Rotations of a swarm's secrets, as its spec has them.

A new unlock key exists only in the swarm until escrow has it. So the write that makes it leaves a label, which any run can
finish from (docs/decisions/072-what-a-killed-rotation-leaves.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recovery.swarm.entries import Member

NOTE = "requorum.rotation"
"""A label of the swarm: its unlock key was rotated, and escrow may lack the new one."""
UNLOCK_KEY = "unlock-key"


@dataclass(frozen=True)
class CaRotation:
    """How far a rotation of the CA is."""

    goes_on: bool
    nodes: int
    behind: tuple[str, ...] = ()
    """The host names of the nodes whose certificate another CA issued than the newest."""
    down: tuple[Member, ...] = ()
    """The nodes that are not Ready. The rotation waits for each of them."""


def is_noted(spec: Mapping[str, Any]) -> bool:
    """Whether a rotation of the unlock key is not finished."""
    return NOTE in (spec.get("Labels") or {})


def noted(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with the note."""
    return {**spec, "Labels": {**(spec.get("Labels") or {}), NOTE: UNLOCK_KEY}}


def without_note(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec without the note."""
    if not is_noted(spec):
        return dict(spec)
    return {**spec, "Labels": {key: value for key, value in spec["Labels"].items() if key != NOTE}}


def forced(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec that makes the swarm rotate its CA, as ``docker swarm ca --rotate`` does."""
    ca = spec.get("CAConfig") or {}
    kept = {key: value for key, value in ca.items() if key not in ("SigningCACert", "SigningCAKey")}
    return {**spec, "CAConfig": {**kept, "ForceRotate": count(spec) + 1}}


def count(spec: Mapping[str, Any]) -> int:
    """How often somebody had the swarm rotate its CA."""
    return int((spec.get("CAConfig") or {}).get("ForceRotate") or 0)


def as_often(rotations: int | None) -> dict[str, Any]:
    """The spec for a forced cluster that keeps its CA.

    Docker gives a forced cluster the count of the request, and swarmkit rotates the CA when the count is another (moby,
    daemon/cluster: initClusterSpec; swarmkit, manager/controlapi: validateCAConfig). Without a count, that is every swarm whose CA was
    rotated before.
    """
    return {"CAConfig": {"ForceRotate": rotations}} if rotations else {}


def external_cas(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses of the swarm's external CAs."""
    found = (spec.get("CAConfig") or {}).get("ExternalCAs") or ()
    return tuple(str(one.get("URL", "")) for one in found if isinstance(one, Mapping))
