"""The provider of our own resources: whose it is, and what it is told."""

import json
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import settings
from components.settings import from_provider
from recovery.settings import Settings
from recovery.settings.project import project_of
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
    assert inputs.keys() == {"quorum", "health", *(f"{node.address}-member" for node in of.nodes)}
    del providers["swarm"]
    assert {provider.split("::")[-2] for provider in providers.values()} == {"swarm"}


@pytest.mark.parametrize(
    ("typed", "consent"),
    [("r0123456789abcdef", "r0123456789abcdef"), ("true", False), ("r", False), ("recreate everything", False)],
)
def test_a_program_of_another_project_takes_the_id_that_its_plan_shows_and_nothing_else(
    typed: str, consent: str | bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pulumi up --config recover=ID` sets a key of that project. A word of its own is no consent."""
    given = {
        f"requorum:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in make.raw().items()
    }
    given["mine:recover"] = typed
    monkeypatch.setattr("pulumi.runtime.config.CONFIG", ContextVar("config", default=given))
    monkeypatch.setattr("pulumi.config.get_project", lambda: "mine")
    assert settings.from_program().recover == consent


class Request:
    """What Pulumi gives a provider: the settings of the last update, as strings."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.config = {
            f"requorum:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()
        }


def provided(stack_file: Path | None, monkeypatch: pytest.MonkeyPatch, **kept: Any) -> Settings:
    monkeypatch.setattr(settings, "stack_file", lambda: stack_file)
    return from_provider(Request({**make.raw(), **kept})).settings  # type: ignore[arg-type]


def written(folder: Path, **changes: Any) -> Path:
    file = folder / "Pulumi.lab.yaml"
    config = {f"requorum:{key}": value for key, value in {**make.raw(), **changes}.items() if value is not None}
    file.write_text(yaml.safe_dump({"config": config}))
    return file


def test_a_refresh_uses_the_key_that_the_stack_file_has_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = {**make.raw()["ssh"], "privateKeyFile": "/elsewhere/key"}
    assert str(provided(written(tmp_path, ssh=ssh), monkeypatch).ssh.private_key_file) == "/elsewhere/key"
    assert str(provided(None, monkeypatch).ssh.private_key_file) != "/elsewhere/key"


def test_what_the_stack_file_no_longer_has_does_not_outlive_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert provided(written(tmp_path), monkeypatch, protect="true").protected is False
    assert provided(None, monkeypatch, protect="true").protected is True


def test_the_only_stack_file_of_the_cluster_is_used_where_pulumi_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `pulumi stack select`."""
    (tmp_path / "Pulumi.yaml").write_text("name: mine")
    monkeypatch.setattr(settings, "project", lambda: project_of(tmp_path))
    written(tmp_path, protect=True)
    written(tmp_path, cluster="other").rename(tmp_path / "Pulumi.other.yaml")
    written(tmp_path, protect=True)
    (tmp_path / "Pulumi.torn.yaml").write_text("config: [")
    assert provided(None, monkeypatch).protected is True
    written(tmp_path, protect=False).rename(tmp_path / "Pulumi.second.yaml")
    written(tmp_path, protect=True)
    assert provided(None, monkeypatch).protected is False, "the state tells: two files have the cluster"


def test_a_key_of_the_project_s_file_is_below_that_of_the_stack_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("{name: mine, config: {requorum:protect: true, requorum:cluster: other}}")
    monkeypatch.setattr(settings, "project", lambda: project_of(tmp_path))
    assert provided(written(tmp_path), monkeypatch).protected is True
    assert provided(written(tmp_path, protect=False), monkeypatch).protected is False


@pytest.mark.parametrize(
    "changes", [{"cluster": "other"}, {"subnet": {"secure": "v1:abc"}}], ids=["another cluster's", "a secret"]
)
def test_the_state_has_what_the_stack_file_cannot_tell(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert provided(written(tmp_path, **changes), monkeypatch) == provided(None, monkeypatch)


def test_a_stack_file_that_is_gone_or_torn_leaves_the_state_s_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torn = tmp_path / "torn.yaml"
    torn.write_text("config: [")
    for file in (tmp_path / "missing.yaml", torn):
        assert provided(file, monkeypatch) == provided(None, monkeypatch)


def test_all_providers_of_a_process_share_one_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quorum's provider pauses the agents, and the proof's lets them go on."""
    monkeypatch.setattr(settings, "stack_file", lambda: None)
    one, other = (from_provider(Request(make.raw())) for _ in range(2))  # type: ignore[arg-type]
    assert one is other


def test_an_older_stack_gives_its_provider_no_new_key() -> None:
    """A default in Pulumi.yaml is given to the provider, whose inputs then differ from the state's."""
    project = yaml.safe_load(Path("Pulumi.yaml").read_text())
    assert set(project["config"]) == {
        "cluster", "subnet", "managers", "hosts", "ssh", "backup", "zones", "workers", "swarm", "escrow", "recover", "copy", "clusterId",
    }  # fmt: skip
