"""The resources of the workload: what they wait for, how they reach the swarm, and what is given to pulumi-docker."""

import json
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from recovery.settings import Settings, parse
from tests.unit import cluster
from tests.unit.components.test_provider import SECRET
from tests.unit.settings.test_settings import raw

WORKLOAD: dict[str, Any] = {
    "networks": {"back": {}, "shared": {"id": "n9"}},
    "secrets": {"db": {"value": "s3cret"}, "old": {"id": "x9"}},
    "configs": {"motd": {"value": "hello"}},
    "services": {
        "web": {
            "image": "web:1",
            "networks": ["back", "shared"],
            "secrets": ["db", {"name": "old", "target": "older", "mode": "0400"}],
            "configs": ["motd"],
            "replicas": 3,
            "ports": [{"target": 80, "published": 8000, "mode": "host"}],
            "constraints": ["node.role == worker"],
            "spread": ["node.labels.zone"],
            "update": {"parallelism": 2, "delay": "10s", "failureAction": "rollback", "monitor": "7s", "maxFailureRatio": 0.2, "order": "start-first"},
        },
        "agent": {"image": "agent:1", "mode": "global"},
    },
}  # fmt: skip


def made(of: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The requests of the resources of the workload, by type and name."""
    found: dict[str, Any] = {}
    cluster.build(
        of, monkeypatch, lambda request: found.update({f"{request.type.split(':')[-1]} {request.name}": request})
    )
    return found


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return made(parse(raw(workload=WORKLOAD)), monkeypatch)


def inputs(request: Any) -> Any:
    return MessageToDict(request.object)


def test_a_cluster_without_a_workload_has_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [one for one in made(parse(raw()), monkeypatch) if "swarm-engine" in one or one.startswith("Workload")]


def test_everything_waits_for_the_proof_and_ends_with_the_quorum(requests: dict[str, Any]) -> None:
    of_docker = ["Network back", "Secret db", "ServiceConfig motd-config", "Service web", "Service agent"]
    for name in of_docker:
        waited = {urn.rsplit("::", 1)[-1] for urn in requests[name].dependencies}
        assert "health" in waited, name
        assert requests[name].deletedWith.endswith("::quorum")
        assert "swarm-engine" in requests[name].provider
    after = {urn.rsplit("::", 1)[-1] for urn in requests["Rollouts rollouts"].dependencies}
    assert {"web", "agent"} <= after


def test_the_provider_has_one_address_for_the_life_of_the_cluster(requests: dict[str, Any]) -> None:
    given = inputs(requests["docker swarm-engine"])
    assert given["host"] == "ssh://requorum-swarm"
    assert "requorum-reach" in str(given["sshOpts"])
    assert "10.77" not in str(given), "no address of a manager"


def test_secrets_and_configs_have_names_that_change_with_their_content(monkeypatch: pytest.MonkeyPatch) -> None:
    def names(content: str) -> list[str]:
        of = {
            **WORKLOAD,
            "secrets": {**WORKLOAD["secrets"], "db": {"value": content}},
            "configs": {"motd": {"value": content}},
        }
        found = made(parse(raw(workload=of)), monkeypatch)
        return [inputs(found[name])["name"] for name in ("Secret db", "ServiceConfig motd-config")]

    first = names("one")
    assert first == names("one")
    assert all(one != other for one, other in zip(first, names("two"), strict=True))
    assert [name.rsplit("-", 1)[0] for name in first] == ["db", "motd"]


def test_a_service_is_given_every_option(requests: dict[str, Any]) -> None:
    web = inputs(requests["Service web"])
    assert web["updateConfig"] == {
        "parallelism": 2,
        "delay": "10s",
        "failureAction": "rollback",
        "monitor": "7s",
        "maxFailureRatio": "0.2",
        "order": "start-first",
    }
    assert web["rollbackConfig"]["failureAction"] == "pause"
    assert web["mode"] == {"replicated": {"replicas": 3}}
    assert web["endpointSpec"]["ports"] == [
        {"targetPort": 80, "publishedPort": 8000, "protocol": "tcp", "publishMode": "host"}
    ]
    task = web["taskSpec"]
    assert task["placement"]["constraints"] == ["node.role == worker"]
    assert task["placement"]["prefs"] == ["spread=node.labels.zone"]
    older = task["containerSpec"]["secrets"][1]
    assert (older["secretId"], older["secretName"], older["fileName"], older["fileMode"]) == (
        "x9",
        "old",
        "older",
        0o400,
    )
    assert inputs(requests["Service agent"])["mode"] == {"global": True}


def test_a_service_is_left_without_what_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that `docker service create` made without the options, and that was imported."""
    left_out = dict.fromkeys(("restart", "stopGracePeriod", "update", "rollback"))
    of = {"services": {"web": {"image": "web:1", "limits": {}, **left_out}}}
    web = inputs(made(parse(raw(workload=of)), monkeypatch)["Service web"])
    assert not {"updateConfig", "rollbackConfig"} & web.keys()
    assert web["taskSpec"].get("restartPolicy") is None
    assert web["taskSpec"]["containerSpec"].get("stopGracePeriod") is None
    assert web["taskSpec"]["resources"] == {"limits": {"nanoCpus": 0, "memoryBytes": 0}, "reservation": None}


PASSWORD = {"services": {"web": {"image": "web:1", "env": {"PASSWORD": "s3cret"}, "configs": ["motd"]}}, "configs": {"motd": {"value": "s3cret"}}}  # fmt: skip


def is_hidden(value: Any) -> bool:
    """Whether the state holds a value encrypted."""
    return isinstance(value, Mapping) and value.items() >= SECRET.items()


@pytest.mark.parametrize("secret", [True, False])
def test_an_environment_and_a_config_are_encrypted_if_the_stack_file_encrypts_a_value_of_the_workload(
    secret: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulumi gives the program the plain value, and says that the key is secret."""
    given = {"requorum:workload": json.dumps(PASSWORD)}
    monkeypatch.setattr("pulumi.runtime.config.CONFIG", ContextVar("config", default=given))
    monkeypatch.setattr(
        "pulumi.runtime.config._SECRET_KEYS", ContextVar("keys", default=frozenset(given if secret else ()))
    )
    found = made(parse(raw(workload=PASSWORD)), monkeypatch)
    web, motd = inputs(found["Service web"]), inputs(found["ServiceConfig motd-config"])
    container = web["taskSpec"]["containerSpec"]
    assert is_hidden(container["env"]) is secret
    assert is_hidden(motd["data"]) is secret
    assert is_hidden(motd["name"]) is secret, "it ends in a digest of the content"
    assert is_hidden(container["configs"][0]["configName"]) is secret
    assert ("taskSpec" in found["Service web"].additionalSecretOutputs) is secret
    assert container["image"] == "web:1", "a preview shows the rest"


def test_digests_of_definitions_and_compose_files_are_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services: {db: {image: db:1, environment: {PASSWORD: letmein}}}")
    found = made(parse(raw(workload={**WORKLOAD, "stacks": {"shop": str(file)}})), monkeypatch)
    rollouts, stack = found["Rollouts rollouts"], found["Stack stack-shop"]
    assert is_hidden(inputs(rollouts)["definitions"])
    assert list(rollouts.additionalSecretOutputs) == ["definitions"]
    assert is_hidden(inputs(stack)["digests"])
    assert list(stack.additionalSecretOutputs) == ["digests", "services"]
