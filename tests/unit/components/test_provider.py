"""The provider of our own resources: whose it is, and what it is told."""

import json
from contextvars import ContextVar
from typing import Any

import pytest

from tests.unit import cluster
from tests.unit import factories as make

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
"""How a secret is marked on its way to the engine (pulumi, sdk/go/common/resource: SigKey and SecretSig)."""


def test_it_knows_the_settings_but_no_consent_and_keeps_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    of = make.settings()
    given = {
        f"requorum:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in make.raw().items()
    }
    given["requorum:recover"] = "true"
    secret = frozenset({"requorum:subnet"})
    monkeypatch.setattr("pulumi.runtime.config.CONFIG", ContextVar("config", default=given))
    monkeypatch.setattr("pulumi.runtime.config._SECRET_KEYS", ContextVar("keys", default=secret))
    inputs: dict[str, dict[str, Any]] = {}
    providers: dict[str, str] = {}

    def seen(request: Any) -> None:
        if "pulumi-python" in request.type:
            inputs[request.name], providers[request.name] = dict(request.object), request.provider

    cluster.build(of, monkeypatch, seen)
    told = inputs.pop("swarm")
    assert set(told) == given.keys() - {"requorum:recover"}
    assert dict(told.pop("requorum:subnet")) == {**SECRET, "value": str(of.subnet)}
    assert told == {key: given[key] for key in told}
    assert inputs.keys() == {"quorum", "health", *(f"{node.name}-member" for node in of.nodes)}
    del providers["swarm"]
    assert {provider.split("::")[-2] for provider in providers.values()} == {"swarm"}
