"""What an operator signs: it is OpenSSH's format, and valid for its own kind, place and content only."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from recovery.errors import SettingError
from recovery.node.signing import Kind, Operators, statement
from recovery.settings import parse
from recovery.swarm.machines import Ssh
from tests.unit import factories as make

KEY = "requorum/lab/lost/manager-a.json"
DOCUMENT = {"node": "manager-a", "how": "über IPMI", "seconds": 1.5}
ALGORITHMS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")


def operators(name: str = "key", algorithm: str = "ssh-ed25519", keys: tuple[str, ...] = ()) -> Operators:
    file = make.ssh_key(name, algorithm)
    return Operators(Ssh(private_key_file=file, known_hosts_file=file), keys)


def public(name: str, algorithm: str = "ssh-ed25519") -> str:
    return Path(f"{make.ssh_key(name, algorithm)}.pub").read_text()


def keygen(*arguments: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["ssh-keygen", "-Y", *arguments], input=given, capture_output=True, check=False)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_openssh_verifies_what_is_signed_here(algorithm: str, tmp_path: Path) -> None:
    content = operators(algorithm, algorithm).sign(Kind.LOST, KEY, DOCUMENT)
    (tmp_path / "signature").write_text(json.loads(content)["signature"])
    (tmp_path / "allowed").write_text(f'operator namespaces="lost@requorum" {public(algorithm, algorithm)}')
    given = [
        "-f",
        str(tmp_path / "allowed"),
        "-I",
        "operator",
        "-n",
        "lost@requorum",
        "-s",
        str(tmp_path / "signature"),
    ]
    assert keygen("verify", *given, given=statement(KEY, DOCUMENT)).returncode == 0
    assert keygen("verify", *given, given=statement(KEY, {})).returncode != 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_openssh_signs_is_valid_here(algorithm: str) -> None:
    key = str(make.ssh_key(algorithm, algorithm))
    signature = keygen("sign", "-f", key, "-n", "lost@requorum", given=statement(KEY, DOCUMENT)).stdout.decode()
    content = json.dumps({**DOCUMENT, "signature": signature}).encode()
    read = operators(algorithm, algorithm).read(Kind.LOST, KEY, content)
    assert (read.document, read.fault) == (DOCUMENT, "")


def test_a_signature_is_of_one_kind_one_place_and_one_content() -> None:
    mine = operators()
    content = mine.sign(Kind.LOST, KEY, DOCUMENT)
    altered = json.dumps({**json.loads(content), "node": "manager-b"}).encode()
    assert mine.read(Kind.LOST, KEY, content).document == DOCUMENT
    for kind, key, text in (
        (Kind.KEEP, KEY, content),
        (Kind.LOST, KEY.replace("manager-a", "manager-b"), content),
        (Kind.LOST, KEY.replace("lab", "production"), content),
        (Kind.LOST, KEY, altered),
    ):
        assert "of another object" in mine.read(kind, key, text).fault


def test_only_the_keys_of_the_settings_are_operators() -> None:
    content = operators("other").sign(Kind.LOST, KEY, DOCUMENT)
    assert operators().read(Kind.LOST, KEY, content).fault
    both = operators(keys=(public("key"), public("other")))
    both.require()
    assert not both.read(Kind.LOST, KEY, content).fault
    others = operators(keys=(public("other"),))
    assert not others.read(Kind.LOST, KEY, content).fault
    with pytest.raises(SettingError, match=r"requorum:operators: (?s:.*)ssh-ed25519 AAAA(?s:.*)code: not-an-operator$"):
        others.sign(Kind.LOST, KEY, DOCUMENT)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"signature": 3}',
        b'{"signature": "-----BEGIN SSH SIGNATURE-----\\nAAAA\\n-----END SSH SIGNATURE-----"}',
        b'{"node": "\\ud800", "signature": "x"}',
        json.dumps(DOCUMENT).encode(),
    ],
)
def test_anything_else_is_no_operators(content: bytes) -> None:
    assert operators().read(Kind.LOST, KEY, content).fault


def test_a_key_that_cannot_be_used_signs_nothing_and_what_others_signed_stays_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "a passphrase", "-f", str(locked)], check=True)
    content = operators().sign(Kind.LOST, KEY, DOCUMENT)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    for file, code, why in (
        (locked, "no-ssh-agent", "by no operator"),
        (tmp_path / "none", "unreadable-file", "has no public key"),
        (None, "no-ssh-agent", "has no public key"),
    ):
        ssh = Ssh(private_key_file=file, known_hosts_file=locked)
        assert not Operators(ssh, (public("key"),)).read(Kind.LOST, KEY, content).fault
        assert why in Operators(ssh, ()).read(Kind.LOST, KEY, content).fault
        with pytest.raises(SettingError, match=rf"requorum:ssh\.privateKeyFile(?s:.*)code: {code}$"):
            Operators(ssh, ()).sign(Kind.LOST, KEY, DOCUMENT)


def test_a_key_of_the_ssh_agent_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, socket = tmp_path / "key", tmp_path / "agent"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as agent:
        while not socket.exists():
            assert agent.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", key], check=True, capture_output=True)
        for file in (key.with_suffix(".pub"), None):
            mine = Operators(Ssh(private_key_file=file, known_hosts_file=key), ())
            content = mine.sign(Kind.LOST, KEY, DOCUMENT)
            assert not mine.read(Kind.LOST, KEY, content).fault
        agent.terminate()
    theirs = Operators(Ssh(private_key_file=key, known_hosts_file=key), ())
    assert not theirs.read(Kind.LOST, KEY, content).fault


@pytest.mark.parametrize("given", ["ssh-ed25519", "ssh-ed25519 AAAA", "PRIVATE", ["ssh-rsa x"]])
def test_a_public_key_of_the_settings_must_be_one(given: Any) -> None:
    with pytest.raises(SettingError, match=r"requorum:operators: (?s:.*)\.pub files"):
        parse(make.raw(operators=given))


def test_a_comment_after_a_public_key_does_not_matter() -> None:
    line = f"{public('key').strip()} ann@desk"
    assert parse(make.raw(operators=line)).operators == (line,)
    operators(keys=(line,)).require()
