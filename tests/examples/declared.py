"""What an example's driver declares for the machines of a cluster, by Pulumi's mocks."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

import pulumi
import pytest
from pulumi.runtime import mocks, rpc

from components import hooks
from components.hosts.driver import Driver
from components.hosts.machines import Machines
from recovery.cluster import Cluster
from tests.unit import factories as make
from tests.unit.cluster import Monitor

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OF = make.settings(workers=[], hosts={"driver": "program"})
USER_DATA = {
    str(node.address): f"#cloud-config\nssh_keys: {{ed25519_private: key of {node.name}}}\n" for node in OF.nodes
}


@dataclass(frozen=True)
class Declared:
    """One resource as the driver asked for it."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    secrets: frozenset[str]
    """The inputs that are secret."""
    request: Any


class Numbered(mocks.Mocks):
    """Each resource comes out as it was asked for, with a number as its ID: the same each time, in whatever order they come."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        number = str(crc32(f"{args.typ} {args.name}".encode()))
        return number, {**args.inputs, "instanceId": number}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(args.token)


def module(name: str, file: str = "driver") -> ModuleType:
    """The driver of an example."""
    spec = importlib.util.spec_from_file_location(f"{file}_{name}", EXAMPLES / name / f"{file}.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def declared(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Declared], Mapping[str, Any]]:
    """All that the driver declares for the cluster, and the identity of each machine by the name of its node."""
    found: list[Declared] = []
    identities: dict[str, Any] = {}

    def seen(request: Any) -> None:
        if request.type.startswith(("pulumi:pulumi:Stack", "requorum:")):
            return
        raw = {key: rpc.deserialize_property(value) for key, value in request.object.items()}
        secrets = frozenset(key for key, value in raw.items() if rpc.is_rpc_secret(value))
        found.append(
            Declared(
                request.type, request.name, {key: rpc.unwrap_rpc_secret(raw[key]) for key in raw}, secrets, request
            )
        )

    monkeypatch.setattr(hooks, "around_host", lambda *_, **__: None)
    numbered = Numbered()
    monitor = Monitor(seen)
    monitor.mocks = numbered
    mocks.set_mocks(numbered, monitor=monitor)

    @pulumi.runtime.test
    def run() -> pulumi.Output[Any]:
        made = Machines(Cluster(OF), driver, USER_DATA, ())
        return pulumi.Output.all(**made.identities).apply(identities.update)

    run()
    return sorted(found, key=lambda each: (each.type, each.name)), identities
