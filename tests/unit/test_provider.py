"""The provider of our own resources: whose it is, and what it is told."""

import json
from contextvars import ContextVar
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from components import cluster as components
from recovery.assessment import Assessment
from recovery.diagnosis import diagnose
from recovery.plan import Source, make_plan
from tests.unit import factories as make

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
"""How a secret is marked on its way to the engine (pulumi, sdk/go/common/resource: SigKey and SecretSig)."""


class Made(pulumi.runtime.Mocks):
    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return args.name, args.inputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return {}


class Monitor(mocks.MockMonitor):
    """Remembers what was registered."""

    def __init__(self) -> None:
        super().__init__(Made())
        self.told: dict[str, dict[str, Any]] = {}
        self.providers: dict[str, str] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        if "pulumi-python" in request.type:
            self.told[request.name], self.providers[request.name] = dict(request.object), request.provider
        return super().RegisterResource(request)


def test_it_knows_the_settings_but_no_consent_and_keeps_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    of = make.settings()
    given = {
        f"requorum:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in make.raw().items()
    }
    given["requorum:recover"] = "true"
    secret = frozenset({"requorum:subnet"})
    monkeypatch.setattr("pulumi.runtime.config.CONFIG", ContextVar("config", default=given))
    monkeypatch.setattr("pulumi.runtime.config._SECRET_KEYS", ContextVar("keys", default=secret))
    monkeypatch.setattr(components, "Preparation", lambda node, *_: pulumi.ComponentResource("a:b:c", f"{node.name}-p"))
    monkeypatch.setattr(components, "DockerHosts", lambda *_: components.ExistingHosts("hosts", make.healthy(of)))
    for name in ("on_quorum_error", "before_proof"):
        monkeypatch.setattr(components.hooks, name, lambda _: None)
    monitor, seen = Monitor(), make.healthy(of)
    mocks.set_mocks(Made(), monitor=monitor)
    found = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    now = Assessment(seen, found, make_plan(found, of, Source(), (), make.NOW))

    @pulumi.runtime.test
    def build() -> Any:
        return components.Cluster("lab", of, now).health

    build()
    told = monitor.told.pop("swarm")
    assert set(told) == given.keys() - {"requorum:recover"}
    assert dict(told.pop("requorum:subnet")) == {**SECRET, "value": str(of.subnet)}
    assert told == {key: given[key] for key in told}
    assert monitor.told.keys() == {"quorum", "health", *(f"{node.name}-member" for node in of.nodes)}
    del monitor.providers["swarm"]
    assert {provider.split("::")[-2] for provider in monitor.providers.values()} == {"swarm"}
