"""Answers by options and at a terminal, and host keys: each that is bad is told, and nothing is written."""

import pytest

from recovery.cli import draft
from recovery.errors import Silent
from recovery.node import host_keys
from recovery.node.host_keys import Shown
from tests.unit.cli.init.conftest import FLAGS, MANAGERS, Desk, host_key

# Host keys


def test_host_keys_are_pinned_once_they_are_accepted(desk: Desk) -> None:
    done = desk.init(*FLAGS)
    assert [line.split()[0] for line in desk.known_hosts.read_text().splitlines()] == MANAGERS.split(",")
    assert "SHA256:10.77.2.12" in done.stderr
    assert "SHA256" not in desk.init(*FLAGS, "--overwrite").stderr, "what is pinned is not asked again"


def test_nobody_confirms_without_a_terminal(desk: Desk) -> None:
    done = desk.init(*FLAGS[:-1])
    assert (done.exit_code, desk.wrote_nothing(), desk.known_hosts.exists()) == (2, True, False)
    assert "code: host-key-not-pinned" in done.stderr
    assert "SHA256:10.77.1.11" in done.stderr


@pytest.mark.parametrize("left_out", ["", "10.77.3.13"])
def test_every_fingerprint_must_be_expected(desk: Desk, left_out: str) -> None:
    expected = [word for host in MANAGERS.split(",") if host != left_out for word in ("--host-key", f"SHA256:{host}")]
    done = desk.init(*FLAGS[:-1], *expected)
    assert done.exit_code == (2 if left_out else 0)
    assert desk.known_hosts.exists() is not bool(left_out)
    assert ("code: host-key-unexpected" in done.stderr) is bool(left_out)


def test_another_key_than_the_pinned_one_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.init(*FLAGS)
    pinned = desk.known_hosts.read_text()
    monkeypatch.setattr(host_keys, "shown_by", host_key)
    done = desk.init(*FLAGS, "--overwrite")
    assert (done.exit_code, desk.known_hosts.read_text()) == (1, pinned)
    assert "code: host-key-changed" in done.stderr


def test_a_machine_that_does_not_answer_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(host: str, port: int) -> Shown:
        raise Silent(f"collecting the host keys of {host}", f"port {port}", remedy="look", code="node-unreachable")

    monkeypatch.setattr(host_keys, "shown_by", silent)
    done = desk.init(*FLAGS)
    assert (done.exit_code, desk.wrote_nothing()) == (1, True)
    assert "10.77.1.11" in done.stderr


# Bad answers


BAD = [
    (("--managers", "10.77.1.11,x"), "--managers", "bad-argument"),
    (("--managers", ""), "--managers", "setting-invalid"),
    (("--managers", "10.77.1.11,10.77.1.12"), "--managers", "setting-invalid"),
    (("--managers", "A=10.77.1.11,b=10.77.1.12,c=10.77.1.13"), "--managers", "setting-invalid"),
    (("--workers", "10.77.1.11"), "--workers", "setting-invalid"),
    (("--workers", "no"), "--workers", "bad-argument"),
    (("--subnet", "10.1.0.0/16"), "--subnet", "setting-invalid"),
    (("--subnet", "x"), "--subnet", "bad-argument"),
    (("--zones", "a,b"), "--zones", "setting-invalid"),
    (("--zones", "a,a,b"), "--zones", "setting-invalid"),
    (("--bucket", "A_B"), "--bucket", "setting-invalid"),
    (("--endpoint", "s3.example"), "--endpoint", "setting-invalid"),
    (("--key", "/nowhere"), "--key", "unreadable-file"),
    (("--port", "0"), "--port", "setting-invalid"),
    (("--cluster", "Big_One"), "--cluster", "setting-invalid"),
    (("--recipient", "age1x"), "--recipient", "setting-invalid"),
    (("--ssh-address", "m1"), "--ssh-address", "bad-argument"),
    (("--from", "http://m1"), "--from", "bad-argument"),
    (("--from", "root@m1", "--user", "ops"), "--user", "bad-argument"),
    (("--from", "m1:22", "--port", "2222"), "--port", "bad-argument"),
    (("--from", "root@10.77.1.11"), "--managers", "bad-argument"),
]


@pytest.mark.parametrize(("given", "option", "code"), BAD, ids=[" ".join(given) for given, *_ in BAD])
def test_a_bad_answer_names_its_option_and_nothing_is_written(
    desk: Desk, given: tuple[str, ...], option: str, code: str
) -> None:
    extra = ("--from", "root@m1") if given[0] == "--ssh-address" else ()
    done = desk.init(*FLAGS, *given, *extra)
    assert done.exit_code == 2, done.output
    assert done.stderr.splitlines()[-1] == f"  code: {code}"
    assert f"{option}: " in done.stderr
    assert desk.wrote_nothing()


def test_all_that_is_missing_is_named_at_once(desk: Desk) -> None:
    (desk.home / ".ssh/id_ed25519").unlink()
    done = desk.init()
    assert (done.exit_code, desk.wrote_nothing()) == (2, True)
    assert "--managers, --key, --bucket: " in done.stderr


# At a terminal


def test_six_questions_are_asked(desk: Desk) -> None:
    done = desk.init(typed=f"{MANAGERS}\n\n\n\n\ncopies\ny\n")
    assert done.exit_code == 0, done.output
    questions = (draft.MANAGERS, draft.WORKERS, draft.SUBNET, draft.KEY, draft.ENDPOINT, draft.BUCKET)
    assert [done.stderr.count(question.text) for question in questions] == [1] * 6
    assert "Compare them with what each machine shows: for key in /etc/ssh/" in done.stderr
    assert str(desk.settings().subnet) == "10.77.0.0/22"
    assert desk.settings().workers == ()


def test_what_cannot_be_used_is_asked_again(desk: Desk) -> None:
    managers = ("here", "10.77.1.11,10.77.2.12", MANAGERS)
    answers = (*managers, "", "x", "10.9.0.0/30", "10.77.0.0/16", "/nowhere", "", "s3", "", "A_B", "copies", "y")
    done = desk.init(typed="\n".join(answers) + "\n")
    assert done.exit_code == 0, done.output
    for said in (
        "'here' is no address",
        "2 managers cannot be",
        "/nowhere: No such file",
        "'A_B' cannot be",
        "10.9.0.0/30",
    ):
        assert said in done.stderr
    assert str(desk.settings().subnet) == "10.77.0.0/16"
    assert desk.settings().backup.bucket == "copies"


def test_an_operator_who_does_not_recognize_the_keys_pins_none(desk: Desk) -> None:
    done = desk.init(*FLAGS[:-1], typed="\n\n\n\nn\n")
    assert (done.exit_code, desk.wrote_nothing(), desk.known_hosts.exists()) == (1, True, False)
