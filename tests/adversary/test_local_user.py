"""A user of the operator's machine, or of a node, who is not root: what he lays down or reads."""

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge

from recovery.agent.metrics import write_textfile
from recovery.operations import exposure
from recovery.settings import parse
from tests.unit import factories as make


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws"))
    return tmp_path


def test_a_link_in_the_folder_for_metrics_leads_root_to_no_other_file(home: Path) -> None:
    victim, folder = home / "victim", home / "metrics"
    victim.write_text("as it was")
    folder.mkdir()
    target = folder / "requorum_agent.prom"
    # prometheus_client's own writer opens FILE.PROCESS.THREAD, and follows a link there.
    for name in (target.name, f"{target.name}.{os.getpid()}.{threading.current_thread().ident}"):
        (folder / name).symlink_to(victim)
    registry = CollectorRegistry()
    Gauge("up", "It is.", registry=registry).set(1)
    write_textfile(target, registry)
    assert victim.read_text() == "as it was"
    assert not target.is_symlink()
    assert "up 1.0" in target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_metrics_that_cannot_be_written_leave_nothing(home: Path) -> None:
    (home / "folder.prom").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_textfile(home / "folder.prom", CollectorRegistry())
    assert [one.name for one in home.iterdir()] == ["folder.prom"]


SECRETS: dict[str, dict[str, Any]] = {
    "ssh": {"ssh": {"privateKeyFile": "{}"}},
    "identity": {"backup": {"identityFile": "{}"}},
    "escrow": {"escrow": {"identityFile": "{}"}},
    "customer": {"backup": {"endpoint": None, "encryption": {"mode": "customer", "keyFile": "{}"}}},
    "agents": {"agent": {"credentialsFile": "{}"}},
    "notify": {"notify": {"urlsFile": "{}"}},
}


@pytest.mark.parametrize("which", SECRETS)
@pytest.mark.parametrize(
    ("mode", "told"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o620, True)]
)
def test_a_secret_file_that_others_can_use_is_told_with_the_command_that_closes_it(
    home: Path, which: str, mode: int, told: bool
) -> None:
    secret = home / "a secret"
    secret.write_text("x")
    secret.chmod(mode)
    raw = make.raw()
    for key, values in json.loads(json.dumps(SECRETS[which]).replace("{}", str(secret))).items():
        raw[key] = {name: value for name, value in {**raw.get(key, {}), **values}.items() if value is not None}
    found = exposure.warnings(parse(raw))
    assert [f"chmod 600 '{secret}'" in one for one in found if str(secret) in one] == [True] * told


def test_credentials_of_each_manager_and_of_boto3_are_looked_at(home: Path) -> None:
    names = [node.name for node in make.settings().managers]
    for name in (*names, "aws"):
        (home / name).write_text("x")
        (home / name).chmod(0o644)
    found = exposure.warnings(make.settings(agent={"credentialsFile": f"{home}/{{name}}"}))
    assert [one.split()[-1] for one in found if str(home) in one] == [str(home / name) for name in (*names, "aws")]


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("http://s3.example.com", True),
        ("http://10.0.0.9:9000", True),
        ("https://s3.example.com", False),
        ("http://127.0.0.1:9000", False),
        ("http://localhost:9000", False),
        ("http://169.254.95.1:7070", False),
        (None, False),
    ],
)
def test_s3_over_a_network_without_encryption_is_told(endpoint: str | None, told: bool) -> None:
    backup = {**make.raw()["backup"], "endpoint": endpoint}
    found = exposure.warnings(make.settings(backup={key: value for key, value in backup.items() if value}))
    assert any("requorum:backup.endpoint" in one for one in found) is told


def test_an_engine_over_tcp_is_told() -> None:
    hosts = {"driver": "docker", "image": "node", "endpoint": "tcp://10.0.0.9:2375", "identities": "/keys"}
    found = exposure.warnings(make.settings(hosts=hosts))
    assert [one for one in found if "tcp://10.0.0.9:2375" in one]
