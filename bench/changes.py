"""Changes of a swarm, made through one manager's engine over one connection, and how soon they were in a proven copy."""

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
    """A config that was made; when that was asked for and when it was answered, as Unix time stamps."""

    id: str
    asked: float
    answered: float


@dataclass(frozen=True)
class Stored:
    """A copy in S3, and when it was complete there, as a Unix time stamp."""

    manifest: Manifest
    at: float

    @property
    def proof(self) -> Proof:
        """That it is proven, which each copy must be."""
        assert self.manifest.proof is not None
        assert self.manifest.verdict is Verdict.PROVEN, self.manifest.shortfall
        return self.manifest.proof

    def holds(self, change: Change) -> bool:
        """Whether it holds the change."""
        return change.id in self.manifest.inventory.objects["configs"]


class Writer:
    """Makes changes, one after the other."""

    def __init__(self, api: "docker.APIClient") -> None:
        self._api = api
        self._numbers = itertools.count(time.time_ns())

    def change(self) -> Change:
        """One change."""
        asked = time.time()
        made = self._api.create_config(f"bench-{next(self._numbers)}", CONTENT)
        return Change(made["ID"], asked, time.time())

    def paced(self, rate: float, seconds: float) -> list[Change]:
        """So many changes a second, for so many seconds; one that comes late keeps none from its time."""
        begun, made = time.monotonic(), []
        for number in range(round(rate * seconds)):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            made.append(self.change())
        return made

    def unpaced(self, seconds: float) -> float:
        """Changes a second where each follows on the answer to the one before; half of them remove the other half."""
        begun, count = time.monotonic(), 0
        while time.monotonic() < begun + seconds:
            self._api.remove_config(self.change().id)
            count += 2
        return count / (time.monotonic() - begun)

    def order(self, changes: Sequence[Change]) -> list[str]:
        """The IDs of the changes in the order in which the swarm made them."""
        ours = {change.id for change in changes}
        listed = sorted(self._api.configs(), key=lambda entry: entry["Version"]["Index"])
        return [entry["ID"] for entry in listed if entry["ID"] in ours]

    def remove(self, changes: Sequence[Change]) -> None:
        """Undo them."""
        for change in changes:
            self._api.remove_config(change.id)


@contextmanager
def writer(settings: Settings, node: Node) -> Iterator[Writer]:
    """For changes through that manager."""
    with Shell(node, settings.ssh) as shell:
        api = docker.APIClient(base_url=f"unix://{shell.engine_socket()}", version="auto")
        try:
            yield Writer(api)
        finally:
            api.close()


def stored(settings: Settings, objects: Path, since: float) -> list[Stored]:
    """The copies taken since then. The lab's S3 server keeps objects as files below ``objects``: their times are exact."""
    found = []
    for copy, manifest in Catalog(settings).manifests():
        if isinstance(manifest, DamagedCopy):
            raise manifest
        if copy.taken.timestamp() >= since:
            found.append(Stored(manifest, (objects / copy.manifest_key).stat().st_mtime))
    return found


def delays(changes: Sequence[Change], copies: Sequence[Stored]) -> list[float]:
    """Seconds from the answer to each change to the first proven copy in S3 that holds it, the shortest first."""
    return sorted(
        min(copy.at for copy in copies if copy.proof and copy.holds(change)) - change.answered for change in changes
    )


def check(order: Sequence[str], copies: Sequence[Stored]) -> None:
    """Require every copy to be proven, and to hold all changes up to one of them and none after it; and no election."""
    assert copies, "there is no copy"
    assert all(copy.proof for copy in copies)
    ours = set(order)
    for copy in copies:
        held = ours & copy.manifest.inventory.objects["configs"]
        assert held == set(order[: len(held)]), "a change is in a copy, and one before it is not"
    assert len({copy.manifest.position.term for copy in copies}) == 1, "another leader was elected"


def percentile(values: Sequence[float], share: float) -> float:
    """The least of the sorted values that no less than that share of them do not exceed."""
    return values[math.ceil(share * len(values)) - 1]
