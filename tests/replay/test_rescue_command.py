"""`requorum rescue` as it is typed, on the fake swarm: what it shows, and how consent and the unlock key are given."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recovery import errors
from recovery.cli import app, rescue
from recovery.errors import SettingError, TransportError
from recovery.operations.rescue import REMEDIES, reached
from tests.fake.machine import Machine
from tests.fake.wires import Wires, wired
from tests.replay.test_rescue import HOST, Ailing, look, no_key, stage, target
from tests.unit.swarm.test_key_file import unlock_key

URL = f"ssh://root@{HOST}"
DAMAGED = Ailing(1, 2)


@pytest.fixture(scope="module")
def wires() -> Iterator[Wires]:
    with wired() as made:
        yield made


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    (tmp_path / "key").touch()
    return tmp_path / "key"


def typed(identity: Path, *words: str, answers: str = "") -> Result:
    return CliRunner().invoke(app, ["rescue", URL, "--identity-file", str(identity), *words], input=answers)


def is_back(wires: Wires, first: Machine) -> bool:
    return wires.swarm.lives() is first


def test_the_plan_is_shown_and_waits_for_its_id(wires: Wires, identity: Path) -> None:
    first = stage(wires, DAMAGED)
    plan = look()[1]
    shown = typed(identity)
    assert shown.exit_code == 1
    assert shown.stdout.splitlines()[0].startswith(f"{HOST}: its raft log is damaged (a wrong checksum)")
    assert f"plan {plan.id}:" in shown.stdout
    assert f"next: read the plan above, then: requorum rescue {URL} --plan {plan.id}" in shown.stderr
    assert "code: consent-needed" in shown.stderr
    assert not is_back(wires, first)
    done = typed(identity, "--plan", plan.id)
    assert done.exit_code == 0, done.output
    assert f"{HOST} leads swarm {plan.cluster_id}" in done.stdout
    assert f"requorum:clusterId: {plan.cluster_id}" in done.stdout
    assert is_back(wires, first)
    again = typed(identity, "--plan", plan.id)
    assert (again.exit_code, again.stdout.splitlines()[-1]) == (0, "nothing to do")


def test_the_id_of_another_plan_is_no_consent(wires: Wires, identity: Path) -> None:
    first = stage(wires, DAMAGED)
    shown = typed(identity, "--plan", "r0000000")
    assert (shown.exit_code, "code: plan-outdated" in shown.stderr) == (1, True)
    assert not is_back(wires, first)


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_person_at_a_terminal_is_asked(
    wires: Wires, identity: Path, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stage(wires, DAMAGED)
    monkeypatch.setattr(rescue, "at_terminal", lambda: True)
    done = typed(identity, answers=f"{answer}\n")
    assert done.exit_code == (0 if answer == "y" else 1), done.output
    assert is_back(wires, first) is (answer == "y")


@pytest.mark.parametrize(
    "url",
    ["http://10.77.1.11", "ssh://", "ssh://root:secret@h", "ssh://h:port", "ssh://h/path", "ssh://h?q"],
)
def test_an_argument_that_names_no_machine_is_a_wrong_one(identity: Path, url: str) -> None:
    shown = CliRunner().invoke(app, ["rescue", url, "--identity-file", str(identity)])
    assert (shown.exit_code, "code: bad-argument" in shown.stderr) == (2, True)


def test_user_and_port_have_defaults_and_the_name_is_shown_as_it_is_typed(identity: Path) -> None:
    for url, shown in (
        ("ssh://h", "ssh://root@h"),
        ("ssh://root@h:22", "ssh://root@h"),
        ("ssh://admin@h:2222", "ssh://admin@h:2222"),
        ("ssh://[::1]:2222", "ssh://root@[::1]:2222"),
    ):
        assert rescue._target(url, identity, Path("hosts"), "").url == shown


def test_without_a_key_file_the_operators_own_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SettingError, match=r"--identity-file FILE(?s:.*)code: bad-argument"):
        rescue._target("ssh://h", None, Path("hosts"), "")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519").touch()
    found = rescue._target("ssh://h", None, rescue.KNOWN_HOSTS, "").ssh
    assert found.private_key_file == tmp_path / ".ssh" / "id_ed25519"
    assert found.known_hosts_file == tmp_path / ".ssh" / "known_hosts"


def test_the_unlock_key_comes_from_a_file_or_standard_input_and_is_no_argument(tmp_path: Path) -> None:
    key = unlock_key()
    (tmp_path / "key").write_text(f"{key.text}\n")
    (tmp_path / "wrong").write_text("SWMKEY-1-short")
    assert rescue._key_reader(str(tmp_path / "key"))() == key
    for file in (tmp_path / "wrong", tmp_path / "absent"):
        with pytest.raises(SettingError, match=r"--unlock-key-file FILE(?s:.*)code: no-unlock-key"):
            rescue._key_reader(str(file))()


@pytest.mark.parametrize("code", REMEDIES)
@pytest.mark.parametrize("kind", [TransportError, errors.Refused, errors.ProofFailed])
def test_what_to_do_about_an_error_names_no_stack_file(
    wires: Wires, code: str, kind: type[errors.RequorumError]
) -> None:
    stage(wires, DAMAGED)
    with pytest.raises(kind) as raised, reached(target(), no_key, say=print):
        raise kind("connecting", "it fails", remedy="correct requorum:ssh.user in the stack file", code=code)
    assert "requorum:" not in str(raised.value)
    assert raised.value.code == code
