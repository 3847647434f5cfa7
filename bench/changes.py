"""Changes a swarm through one manager's engine, and measures how soon a proven copy holds each change."""

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from recovery.copies.catalog import Catalog
from recovery.copies.manifest import Manifest, Proof, Verdict
from recovery.errors import DamagedCopy
from recovery.node.ssh import Shell
from recovery.settings import Settings
from recovery.swarm.machines import Node

CONTENT = b"x" * 200


@dataclass(frozen=True)
class Change:
    """A new config, with the times of request and answer as Unix time stamps."""

    id: str
    asked: float
    answered: float


@dataclass(frozen=True)
class Stored:
    """A copy in S3, with the time at which it was complete, as a Unix time stamp."""

    manifest: Manifest
    at: float

    @property
    def proof(self) -> Proof:
        """The restore test of the copy. Each copy must be proven."""
        assert self.manifest.proof is not None
        assert self.manifest.verdict is Verdict.PROVEN, self.manifest.shortfall
        return self.manifest.proof

    def holds(self, change: Change) -> bool:
        """Whether the copy holds the change."""
        return change.id in self.manifest.inventory.objects["configs"]


class Writer:
    """Makes changes, one after the other."""

    def __init__(self, api: "docker.APIClient") -> None:
        self._api = api
        self._numbers = itertools.count(time.time_ns())

    def change(self) -> Change:
        """Make one change."""
        begun = time.time()
        config = self._api.create_config(f"bench-{next(self._numbers)}", CONTENT)
        return Change(config["ID"], begun, time.time())

    def paced(self, rate: float, seconds: float) -> list[Change]:
        """Make ``rate`` changes a second for ``seconds`` seconds. A late change does not delay the next one."""
        begun, changes = time.monotonic(), []
        for number in range(round(rate * seconds)):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            changes.append(self.change())
        return changes

    def unpaced(self, seconds: float) -> float:
        """Make each change right after the answer to the one before.

        Returns changes a second. Half of them remove configs.
        """
        begun, count = time.monotonic(), 0
        while time.monotonic() < begun + seconds:
            self._api.remove_config(self.change().id)
            count += 2
        return count / (time.monotonic() - begun)

    def order(self, changes: Sequence[Change]) -> list[str]:
        """The IDs of the changes, in the order in which the swarm committed them."""
        ours = {change.id for change in changes}
        listed = sorted(self._api.configs(), key=lambda entry: entry["Version"]["Index"])
        return [entry["ID"] for entry in listed if entry["ID"] in ours]

    def remove(self, changes: Sequence[Change]) -> None:
        """Remove the configs of the changes."""
        for change in changes:
            self._api.remove_config(change.id)


@contextmanager
def writer(settings: Settings, node: Node) -> Iterator[Writer]:
    """Open a writer that makes changes through one manager."""
    with Shell(node, settings.ssh) as shell:
        api = docker.APIClient(base_url=f"unix://{shell.engine_socket()}", version="auto")
        try:
            yield Writer(api)
        finally:
            api.close()


def stored(settings: Settings, objects: Path, since: float) -> list[Stored]:
    """The copies taken since ``since``.

    The lab's S3 server stores objects as files below ``objects``, with exact times.
    """
    copies = []
    for copy, manifest in Catalog(settings).manifests():
        if isinstance(manifest, DamagedCopy):
            raise manifest
        if copy.taken.timestamp() >= since:
            copies.append(Stored(manifest, (objects / copy.manifest_key).stat().st_mtime))
    return copies


def delays(changes: Sequence[Change], copies: Sequence[Stored]) -> list[float]:
    """The seconds from the answer to each change until a proven copy in S3 holds the change, shortest first."""
    return sorted(
        min(copy.at for copy in copies if copy.proof and copy.holds(change)) - change.answered for change in changes
    )


def check(order: Sequence[str], copies: Sequence[Stored]) -> None:
    """Require that every copy is proven and holds all changes up to one of them and none after it. Allow no election."""
    assert copies, "there is no copy"
    assert all(copy.proof for copy in copies)
    ours = set(order)
    for copy in copies:
        held = ours & copy.manifest.inventory.objects["configs"]
        assert held == set(order[: len(held)]), "a change is in a copy, and one before it is not"
    assert len({copy.manifest.position.term for copy in copies}) == 1, "another leader was elected"


def percentile(values: Sequence[float], share: float) -> float:
    """The percentile of sorted values: the least value that at least ``share`` of the values do not exceed."""
    return values[math.ceil(share * len(values)) - 1]
