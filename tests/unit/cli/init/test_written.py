"""What `requorum init` writes, and what comes next."""

import stat
from dataclasses import replace
from typing import Any

import pytest
import yaml

from recovery.cluster import Cluster
from recovery.errors import LocalError
from recovery.operations import init as preparing
from recovery.s3 import sealing
from recovery.settings import load
from recovery.swarm.on_node import OnNode
from tests.unit import factories as make
from tests.unit.cli.init.conftest import ASK_BUCKET, FLAGS, Desk

# What is written


def test_flags_make_a_stack_file_of_sixteen_lines_that_loads(desk: Desk) -> None:
    done = desk.init(*FLAGS)
    assert done.exit_code == 0, done.output
    assert len(desk.file.read_text().splitlines()) == 16
    made = desk.settings()
    assert (made.cluster, str(made.subnet), made.adopted) == ("production", "10.77.0.0/22", False)
    assert [node.name for node in made.nodes] == ["manager-a", "manager-b", "manager-c"]
    assert made.ssh.private_key_file == desk.home / ".ssh/id_ed25519"
    assert done.stdout.splitlines()[-1] == (
        "next: pulumi stack select --create production && pulumi preview --stack production"
    )


def test_the_identity_is_the_operator_s_alone_and_opens_what_the_stack_file_seals(desk: Desk) -> None:
    desk.init(*FLAGS)
    assert stat.S_IMODE(desk.identity.stat().st_mode) == 0o600
    backup = desk.settings().backup
    assert backup.identity_file == desk.identity
    opened = sealing.Identities(desk.identity, setting="backup.identityFile")
    assert opened.unseal(sealing.seal(b"copy", backup.recipients)) == b"copy"
    assert desk.identity.read_text().splitlines()[0] == f"# public key: {backup.recipients[0]}"


def test_an_identity_that_exists_is_used_and_stays_and_others_may_open_too(desk: Desk) -> None:
    text, recipient = sealing.new_identity()
    _, other = sealing.new_identity()
    (mine := desk.home / "mine").write_text(text)
    done = desk.init(*FLAGS, "--identity", str(mine), "--recipient", other)
    assert mine.read_text() == text
    assert desk.settings().backup.recipients == (recipient, other)
    assert "(as it was)" in done.stdout


def test_no_secret_is_shown(desk: Desk) -> None:
    assert "AGE-SECRET-KEY" not in desk.init(*FLAGS).output
    assert "AGE-SECRET-KEY" in desk.identity.read_text()
    assert "AGE-SECRET-KEY" not in desk.file.read_text()


def test_each_flag_goes_to_its_setting(desk: Desk) -> None:
    done = desk.init(
        *FLAGS[2:],
        *("--managers", "m1=10.77.1.11,m2=10.77.2.12,m3=10.77.3.13", "--workers", "10.77.1.21", "--zones", "x,y,z"),
        *("--subnet", "10.77.0.0/16", "--user", "ops", "--port", "2222", "--endpoint", "http://s3.example:9000"),
        *("--region", "eu-1", "--profile", "swarm", "--cluster", "shop", "--known-hosts", str(desk.home / "known")),
    )
    assert done.exit_code == 0, done.output
    made = desk.settings()
    assert [(node.name, node.zone) for node in made.nodes] == [
        ("m1", "x"),
        ("m2", "y"),
        ("m3", "z"),
        ("worker-10-77-1-21", "x"),
    ]
    assert (made.cluster, str(made.subnet), made.zones) == ("shop", "10.77.0.0/16", ("x", "y", "z"))
    assert (made.ssh.user, made.ssh.port, made.ssh.known_hosts_file) == ("ops", 2222, desk.home / "known")
    backup = made.backup
    assert (backup.endpoint, backup.region, backup.profile) == ("http://s3.example:9000", "eu-1", "swarm")
    assert "[10.77.1.21]:2222 ssh-ed25519 " in (desk.home / "known").read_text()


def test_ssh_addresses_go_to_the_nodes_of_a_new_cluster_that_are_named(desk: Desk) -> None:
    named = ("--managers", "m1=10.77.1.11,10.77.2.12,10.77.3.13", "--workers", "w1=10.77.1.21")
    done = desk.init(*FLAGS[2:], *named, "--ssh-address", "m1=198.51.100.7", "--ssh-address", "w1=w1.example.org")
    assert done.exit_code == 0, done.output
    dials = {node.name: node.dial for node in desk.settings().nodes}
    assert (dials["m1"], dials["w1"], dials["manager-b"]) == ("198.51.100.7", "w1.example.org", "10.77.2.12")
    refused = desk.init(*FLAGS[2:], *named, "--overwrite", "--ssh-address", "manager-b=198.51.100.8")
    assert (refused.exit_code, "code: no-such-name" in refused.stderr) == (2, True)


def test_settings_that_exist_are_replaced_only_if_that_is_said_and_the_salt_stays(desk: Desk) -> None:
    desk.file.parent.mkdir()
    desk.file.write_text("encryptionsalt: v1:one=\nconfig:\n  requorum:cluster: mine\n  requorum:protect: true\n")
    before = desk.file.read_text()
    done = desk.init(*FLAGS)
    assert (done.exit_code, desk.file.read_text()) == (2, before)
    assert "--overwrite" in done.stderr
    assert not desk.identity.exists()
    assert desk.init(*FLAGS, "--overwrite").exit_code == 0
    assert yaml.safe_load(desk.file.read_text())["encryptionsalt"] == "v1:one="
    assert desk.settings().cluster == "production"


def test_what_pulumi_new_asked_for_is_kept_and_not_asked_again(desk: Desk) -> None:
    desk.file.parent.mkdir()
    begun = "config:\n  requorum:cluster: shop\n  requorum:subnet: 10.77.0.0/20\n"
    desk.file.write_text(f"encryptionsalt: v1:one=\n{begun}")
    assert desk.init(*FLAGS).exit_code == 0
    made = desk.settings()
    assert (made.cluster, str(made.subnet), len(made.managers)) == ("shop", "10.77.0.0/20", 3)
    assert yaml.safe_load(desk.file.read_text())["encryptionsalt"] == "v1:one="


def test_a_file_without_our_settings_is_completed(desk: Desk) -> None:
    desk.file.parent.mkdir()
    desk.file.write_text("encryptionsalt: v1:one=\nconfig:\n  aws:region: eu-1\n")
    assert desk.init(*FLAGS).exit_code == 0
    document = yaml.safe_load(desk.file.read_text())
    assert (document["encryptionsalt"], document["config"]["aws:region"]) == ("v1:one=", "eu-1")
    assert desk.settings()


def test_a_stack_file_elsewhere_is_named_in_what_comes_next(desk: Desk) -> None:
    file = desk.home / "Pulumi.shop.yaml"
    done = desk.init(*FLAGS, "--config-file", str(file))
    assert load(file).cluster == "shop"
    assert f"&& pulumi preview --stack shop --config-file {file}\n" in done.stdout


def test_what_nodes_lack_is_told_with_the_command(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(of: Cluster) -> Any:
        reports = [make.empty(node) for node in of.settings.nodes]
        return make.survey([replace(reports[0], on_node=OnNode(lacks=("age", "zstd"))), *reports[1:]])

    monkeypatch.setattr(preparing, "look", look)
    assert "note: manager-a lacks age, zstd. On it, run: apt-get install" in desk.init(*FLAGS).stdout


# The bucket


def test_a_bucket_is_tested(desk: Desk, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "ask_bucket", ASK_BUCKET)
    done = desk.init(*FLAGS)
    assert done.exit_code == 0, done.output
    assert "conditional writes" in done.stdout
    assert not list(bucket.objects.all())


def test_a_bucket_that_is_not_there_is_refused_with_its_option(
    desk: Desk, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "ask_bucket", ASK_BUCKET)
    done = desk.init(*FLAGS, "--bucket", "nowhere")
    assert (done.exit_code, desk.wrote_nothing()) == (2, True)
    assert "--bucket: " in done.stderr
    assert not list(bucket.objects.all())


@pytest.mark.parametrize("text", ["config: [", "- a list\n", "config: 5\n"])
def test_a_file_that_is_no_stack_file_is_left_alone(desk: Desk, text: str) -> None:
    desk.file.parent.mkdir()
    desk.file.write_text(text)
    done = desk.init(*FLAGS)
    assert (done.exit_code, desk.file.read_text()) == (2, text)
    assert "code: bad-argument" in done.stderr


def test_an_identity_that_somebody_else_has_just_made_is_not_overwritten(desk: Desk) -> None:
    desk.identity.parent.mkdir(parents=True)
    desk.identity.write_text("theirs")
    with pytest.raises(LocalError):
        preparing.write_identity(desk.identity, "ours")
    assert desk.identity.read_text() == "theirs"
