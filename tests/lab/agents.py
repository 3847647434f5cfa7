"""The agents of a swarm on the lab, and what they made of it in S3."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import boto3

from lab import s3
from lab.stack import Stack
from tests.lab.here import requorum
from tests.lab.swarm import MANAGERS, Swarm

STATE = "/var/lib/requorum/agent"


class Agents:
    """The agents of a swarm, and what they made of it in S3."""

    def __init__(self, swarm: Swarm, stack: Stack) -> None:
        self.swarm, self.stack = swarm, stack
        access, secret = s3.credentials(swarm.lab)
        self._s3 = boto3.client(
            "s3",
            endpoint_url=swarm.lab.s3_endpoint,
            region_name=s3.REGION,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
        )
        self._manifests: dict[str, dict[str, Any]] = {}

    def told(self) -> dict[str, dict[str, Any]]:
        """What `requorum agents` says of each."""
        return {one["manager"]: one for one in json.loads(requorum(self.stack, "agents", "--json").text)["agents"]}

    def copies(self) -> list[dict[str, Any]]:
        """The manifests in S3, newest first."""
        lab, folder = self.swarm.lab, self.stack.settings()["backup"]["prefix"] + "/"
        listed = self._s3.list_objects_v2(Bucket=lab.bucket, Prefix=folder).get("Contents", ())
        for key in (entry["Key"] for entry in listed):
            if key.endswith(".manifest.json") and key not in self._manifests:
                self._manifests[key] = json.loads(self._s3.get_object(Bucket=lab.bucket, Key=key)["Body"].read())
        return sorted(self._manifests.values(), key=lambda manifest: manifest["taken"], reverse=True)

    def change(self, manager: str = "manager-a") -> str:
        """Something new in the swarm; its ID."""
        return self.swarm.on(manager, "sh", "-c", f"echo x | docker config create {uuid4().hex} -")

    def holding(self, config: str) -> list[str]:
        """The managers of the proven copies that hold a config, newest first."""
        return [
            copy["manager"]
            for copy in self.copies()
            if copy["proof"]["verdict"] == "proven" and config in copy["inventory"]["configs"]
        ]

    def state(self, manager: str) -> dict[str, Any]:
        """What the agent remembers."""
        text = self.swarm.on(manager, "cat", f"{STATE}/state.json", check=False)
        return json.loads(text) if text.startswith("{") else {}

    def first(self) -> str:
        """The manager whose turn it is first: of the node IDs the smallest, the leader's last."""
        entries = {name: entry for name, entry in self.swarm.nodes().items() if entry["ManagerStatus"]}
        return min(entries, key=lambda name: (entries[name]["ManagerStatus"] == "Leader", entries[name]["ID"]))

    @contextmanager
    def none_but(self, manager: str) -> Iterator[None]:
        """Meanwhile no other's agent looks at changes: on a slow machine another may be at one before the first is."""
        others = [name for name in MANAGERS if name != manager]
        for name in others:
            self.swarm.on(name, "systemctl", "stop", "requorum-watch", "requorum-copy")
        try:
            yield
        finally:
            for name in others:
                self.swarm.on(name, "systemctl", "start", "requorum-watch")

    def due(self, manager: str) -> None:
        """As its timer would."""
        self.swarm.on(manager, "systemctl", "start", "--no-block", "requorum-due")

    def until(self, condition: Callable[[], Any], what: str, *, passing: bool = False) -> None:
        """Wait for it; what the agents said is part of the failure."""
        try:
            self.swarm.until(condition, what, passing=passing)
        except AssertionError as error:
            logs = [
                self.swarm.on(name, "journalctl", "-u", "requorum*", "-n", "12", "-o", "cat", check=False)
                for name in MANAGERS
            ]
            raise AssertionError(f"{error}\n" + "\n---\n".join(logs)) from None

    def settled(self) -> None:
        """Wait until every manager has looked at the swarm as it is, knows it to be in a copy, and no round runs or is to follow."""
        self.until(self._is_settled, "every agent knows of the copy, and every round is over")

    def _is_settled(self) -> bool:
        for name in MANAGERS:  # what changed a moment ago may have woken no agent yet
            self.swarm.on(name, "systemctl", "start", "requorum-copy", check=False)
        known = {self.state(name).get("fingerprint") or name for name in MANAGERS}
        return len(known) == 1 and {self.round(name) for name in MANAGERS} == {"dead"}

    def round(self, manager: str) -> str:
        """How the unit of its rounds stands."""
        return self.swarm.on(manager, "systemctl", "show", "requorum-copy", "--property=SubState", "--value")
