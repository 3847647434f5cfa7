"""The cluster's resources without a Pulumi engine: what they would register."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pytest
from pulumi.resource_hooks import ErrorHookFunction
from pulumi.runtime import mocks
from pulumi.runtime.resource_hooks import StubErrorHook

from components import cluster as components
from components import hooks
from components.hosts.driver import Driver
from components.update import Update
from recovery.cluster import Cluster
from recovery.operations.assess import Assessment
from recovery.planning import changes
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.plan import Source
from recovery.settings import Settings
from tests.unit import factories as make


def assessment(of: Settings, kind: Kind = Kind.HEALTHY) -> Assessment:
    """Of a cluster that is well; its diagnosis is called ``kind``."""
    seen = make.healthy(of)
    diagnosis = replace(diagnose(seen, make.CLUSTER, cluster="lab", copies=True), kind=kind)
    plan = make_plan(diagnosis, of, Source(), (), make.NOW)
    return Assessment(seen, diagnosis, plan, changes.find(of, seen, plan, {}))


class Made(pulumi.runtime.Mocks):
    """Every resource comes out as it was asked for."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return args.name, args.inputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return {}


class Hook(StubErrorHook):
    """One that no engine is told of."""

    def __init__(self, name: str, callback: ErrorHookFunction) -> None:
        super().__init__(name)
        self.callback = callback


class Monitor(mocks.MockMonitor):
    """Hands on each request to register a resource."""

    def __init__(self, seen: Callable[[Any], None]) -> None:
        super().__init__(Made())
        self._seen = seen

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        self._seen(request)
        return super().RegisterResource(request)


def build(
    of: Settings, monkeypatch: pytest.MonkeyPatch, seen: Callable[[Any], None], *, driver: Driver | None = None
) -> None:
    """Build the cluster of these settings, on machines that are there or that the driver makes."""
    monkeypatch.setattr(components, "Preparation", lambda node, *_: pulumi.ComponentResource("a:b:c", f"{node.name}-p"))
    monkeypatch.setattr(components, "Docker", lambda *_: components.Existing(of.cluster, make.healthy(of)))
    monkeypatch.setattr(hooks, "around_host", lambda *_, **__: None)
    monkeypatch.setattr(components, "container_names", lambda _: {node.name: node.name for node in of.nodes})
    monkeypatch.setattr(components.hooks, "before_proof", lambda _: None)
    monkeypatch.setattr(pulumi, "ErrorHook", Hook)
    mocks.set_mocks(Made(), monitor=Monitor(seen))

    @pulumi.runtime.test
    def run() -> Any:
        return components.Cluster("lab", driver, update=Update(Cluster(of), assessment(of))).health

    run()
