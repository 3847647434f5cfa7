"""A swarm as it looks from outside, every half second: who leads it, and how many tasks of a service run.

It asks each node's engine through the socket in the node's own file system, and not through the code under test.
"""

import http.client
import json
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from threading import Event, Thread
from time import monotonic
from typing import Any
from urllib.parse import quote

from docker import DockerClient

from lab.instance import Instance

EVERY = 0.5
ANSWER_SECONDS = 2.0
FRESH = 1.0
"""Seconds for which a node's answer counts. Each node is asked by itself, so that one that does not answer delays no other."""
BLINK = 3.0
"""Seconds for which nobody may name a leader without an election: this machine is busy, and engines answer late."""
ELECTION_SECONDS = 45.0
"""An election takes up to 20 s, and on this machine others run meanwhile."""


@dataclass(frozen=True)
class Sample:
    """One look: its moment, the leader's host name (empty if no manager names one), and the running tasks."""

    at: float
    leader: str
    running: int


@dataclass(frozen=True)
class Gap:
    """A time in which no manager named a leader, and who led before and after it."""

    seconds: float
    before: str
    after: str


@dataclass
class Sampler:
    """Looks at a swarm until it is stopped."""

    lab: Instance
    nodes: Sequence[str]
    service: str
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pids: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._told: dict[str, tuple[float, str]] = {}
        self._over = Event()

    @contextmanager
    def sampling(self) -> Iterator["Sampler"]:
        """Look in the background within the context."""
        thread = Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    @property
    def fewest(self) -> int:
        """The fewest tasks that ran in any look."""
        return min(sample.running for sample in self.samples)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The times without a leader."""
        found, last = list[Gap](), self.samples[0]
        for sample in self.samples:
            if sample.leader and sample.at - last.at > EVERY + ANSWER_SECONDS:
                found.append(Gap(sample.at - last.at, last.leader, sample.leader))
            last = sample if sample.leader else last
        left = self.samples[-1].at - last.at
        return (*found, *([Gap(left, last.leader, "")] if left > EVERY + ANSWER_SECONDS else []))

    def require_led(self, elections: int) -> None:
        """There was a leader all the time but for so many elections at most."""
        held = [gap for gap in self.gaps if gap.seconds > BLINK]
        assert len(held) <= elections, held
        assert all(gap.seconds < ELECTION_SECONDS for gap in held), held

    @cached_property
    def _outer(self) -> DockerClient:
        return DockerClient(base_url=self.lab.docker_host)

    def _run(self) -> None:
        with ThreadPoolExecutor(max_workers=len(self.nodes)) as pool:
            for node in self.nodes:
                pool.submit(self._watch, node)
            while not self._over.wait(EVERY):
                if len(self._told) < len(self.nodes):
                    continue
                now = monotonic()
                leaders = (leader for at, leader in self._told.copy().values() if leader and now - at <= FRESH)
                self.samples.append(Sample(now, next(leaders, ""), sum(self._counts.copy().values())))

    def _watch(self, node: str) -> None:
        """Look at one node until the end."""
        while not self._over.is_set():
            begun = monotonic()
            leader, self._counts[node] = self._look(node)
            self._told[node] = (monotonic(), leader)
            self._over.wait(max(0.0, begun + EVERY - monotonic()))

    def _look(self, node: str) -> tuple[str, int]:
        """The leader that a node names, and its tasks. An engine that is late has the tasks of before."""
        label = quote(json.dumps({"label": [f"com.docker.swarm.service.name={self.service}"]}))
        count = self._counts.get(node, 0)
        try:
            count = len(self._ask(node, f"/containers/json?filters={label}"))
        except TimeoutError:
            pass
        except (OSError, ValueError, http.client.HTTPException):
            self._pids.pop(node, None)
            count = 0
        try:
            listed = self._ask(node, "/nodes")
        except (OSError, ValueError, http.client.HTTPException):
            return "", count
        leads = [entry for entry in listed if (entry.get("ManagerStatus") or {}).get("Leader")]
        return leads[0]["Description"]["Hostname"] if leads else "", count

    def _ask(self, node: str, path: str) -> list[dict[str, Any]]:
        """What the node's engine answers. Raises: OSError; ValueError if it is no list; HTTPException."""
        if node not in self._pids:
            self._pids[node] = int(self._outer.api.inspect_container(node)["State"]["Pid"])
        connection = http.client.HTTPConnection("localhost")
        with socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.settimeout(ANSWER_SECONDS)
            connection.sock.connect(f"/proc/{self._pids[node]}/root/run/docker.sock")
            connection.request("GET", path)
            answer = connection.getresponse()
            found = json.loads(answer.read())
        if answer.status != http.client.OK or not isinstance(found, list):
            raise ValueError(str(found))
        return found
