"""An operator's machine on which `requorum init` runs, with nodes that answer and a bucket that can be used."""

from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest
from click.testing import Result
from typer.testing import CliRunner

from recovery.cli import app, asking
from recovery.node import host_keys
from recovery.node.host_keys import HostKey, Shown
from recovery.operations import init as preparing
from recovery.s3.probe import Capabilities, Capability, ProbeResult
from recovery.settings import Settings, load
from tests.unit import factories as make

MANAGERS = "10.77.1.11,10.77.2.12,10.77.3.13"
FLAGS = ("--managers", MANAGERS, "--bucket", "copies", "--accept-host-keys")
LOOK, ASK_BUCKET = preparing.look, preparing.ask_bucket
"""The functions that most tests here replace."""
OFFERS = Capabilities("main", "s3://copies", (Capability("reachable", ProbeResult.YES),))


def host_key(host: str, port: int = 22) -> Shown:
    """What a machine shows in these tests."""
    encoded = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[1]
    return Shown(host, port, (HostKey("ssh-ed25519", encoded, f"SHA256:{host}"),))


@dataclass
class Desk:
    """An operator's machine."""

    home: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def file(self) -> Path:
        return self.home / "stacks" / "Pulumi.production.yaml"

    @property
    def identity(self) -> Path:
        return self.home / ".config/requorum/production.identity"

    @property
    def known_hosts(self) -> Path:
        return self.home / ".config/requorum/production.known_hosts"

    def init(self, *arguments: str, typed: str | None = None) -> Result:
        """Run the command; with ``typed``, at a terminal."""
        self.monkeypatch.setattr(asking, "at_terminal", lambda: typed is not None)
        done = CliRunner().invoke(app, ["init", *arguments], input=typed, env={"PULUMI_STACK": "production"})
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    def settings(self) -> Settings:
        return load(self.file)

    def wrote_nothing(self) -> bool:
        return not (self.file.exists() or self.identity.exists())


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A machine with a checkout and a private key, nodes that answer, and a bucket."""
    (tmp_path / ".ssh").mkdir()
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / ".ssh/id_ed25519")
    for name, value in {"HOME": str(tmp_path), "REQUORUM_PROJECT": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    for name in ("XDG_CONFIG_HOME", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    keys: dict[str, Shown] = {}
    monkeypatch.setattr(host_keys, "shown_by", lambda host, port: keys.setdefault(host, host_key(host, port)))
    monkeypatch.setattr(preparing, "look", lambda of: make.survey([make.empty(node) for node in of.settings.nodes]))
    monkeypatch.setattr(preparing, "ask_bucket", lambda _: OFFERS)
    return Desk(tmp_path, monkeypatch)
