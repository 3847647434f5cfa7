"""Notifications, to a server of the test's own: a failure is told once, and so is its end."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.cli import backup as backup_command
from recovery.cli import cluster as recover_command
from recovery.cluster import Cluster
from recovery.copies.manifest import Proof, Verdict
from recovery.errors import Refused, SettingError
from recovery.operations import drill as drills_module
from recovery.operations import lifecycle, notify
from recovery.operations.backup import BackupResult
from recovery.operations.drill import Drill
from recovery.operations.notify import Subject
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.plan import Plan
from recovery.planning.steps import Action, Step
from recovery.settings import Settings
from recovery.steps import journal
from recovery.steps.prove import Health
from tests.unit import cluster
from tests.unit import factories as make
from tests.unit.copies.stored import put

Make = Callable[..., Settings]


@pytest.fixture
def heard() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A service's URL, and the messages that it took."""
    messages: list[dict[str, str]] = []

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"json://127.0.0.1:{server.server_port}/", messages
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def of(heard: tuple[str, list[dict[str, str]]], tmp_path: Path) -> Make:
    def made(**more: Any) -> Settings:
        file = tmp_path / "urls"
        file.write_text(f"# whom to tell\n\n{heard[0]}\n")
        return make.settings(notify={"urlsFile": str(file), **more})

    return made


def outcomes(of: Settings, *faults: str) -> list[str]:
    """A backup for each word, empty for one that goes well; what was said beside."""
    said: list[str] = []
    for fault in faults:
        notify.outcome(Cluster(of), Subject.BACKUP, [fault] if fault else [], "all proven", say=said.append)
    return said


def test_a_failure_is_told_once_and_its_end_once(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any
) -> None:
    assert outcomes(of(), "", "S3 is full", "S3 is full", "", "", "torn") == []
    told = [(message["title"], message["message"]) for message in heard[1]]
    assert told == [
        ("swarm lab: backup failed", "S3 is full"),
        ("swarm lab: backup recovered", "all proven"),
        ("swarm lab: backup failed", "torn"),
    ]


def test_one_thing_does_not_hide_another(of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any) -> None:
    outcomes(of(), "torn")
    notify.failed(Cluster(of()), Subject.DRILL, "it did not come up", say=print)
    assert [message["title"] for message in heard[1]] == ["swarm lab: backup failed", "swarm lab: drill failed"]


def test_a_start_is_told_only_where_that_is_asked_for(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any
) -> None:
    notify.started(Cluster(of()), Subject.RECOVERY, "the plan", say=print)
    assert not heard[1]
    notify.started(Cluster(of(events=["started"])), Subject.RECOVERY, "the plan", say=print)
    outcomes(of(events=["started"]), "torn", "")
    assert [message["title"] for message in heard[1]] == ["swarm lab: recovery started"]


def test_without_s3_the_failure_is_told_all_the_same(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any
) -> None:
    gone = of().model_copy(update={"backup": of().backup.model_copy(update={"bucket": "nowhere"})})
    said = outcomes(gone, "S3 is down")
    assert [message["message"] for message in heard[1]] == ["S3 is down"]
    assert any("cannot note in S3" in line for line in said)


def test_what_was_not_delivered_is_told_by_the_next_run(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, tmp_path: Path
) -> None:
    def deaf(name: str, line: str) -> Settings:
        file = tmp_path / name
        file.write_text(line)
        return make.settings(notify={"urlsFile": str(file)})

    for unheard in (deaf("down", "json://127.0.0.1:9/\n"), deaf("wrong", "nothing://here\n")):
        heard[1].clear()
        outcomes(unheard, "torn")
        outcomes(of(), "torn", "torn")
        outcomes(unheard, "")
        outcomes(of(), "", "")
        assert titles(heard) == ["backup failed", "backup recovered"]


def test_the_end_alone_is_told_where_that_alone_is_asked_for(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any
) -> None:
    outcomes(of(events=["recovered"]), "", "torn", "torn", "", "")
    assert titles(heard) == ["backup recovered"]


def test_a_service_that_does_not_answer_fails_nothing_and_shows_no_secret(bucket: Any, tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text("json://user:hidden@127.0.0.1:9/\n")
    said = outcomes(make.settings(notify={"urlsFile": str(file)}), "torn")
    assert said == ["a service of requorum:notify.urlsFile did not accept this notification: swarm lab: backup failed"]


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file"), ("nothing://hidden\n", "line 1 of"), ("json://a\nhidden", "line 2 of")],
)
def test_an_unusable_file_is_told_without_its_content(tmp_path: Path, content: str | None, why: str) -> None:
    file = tmp_path / "urls"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingError, match=why) as error:
        notify.rehearse(Cluster(make.settings(notify={"urlsFile": str(file)})))
    assert error.value.code == "unreadable-file"
    assert "hidden" not in str(error.value)


def test_a_rehearsal_arrives(of: Make, heard: tuple[str, list[dict[str, str]]]) -> None:
    assert notify.rehearse(Cluster(of()))
    assert [message["title"] for message in heard[1]] == ["swarm lab: test message"]
    with pytest.raises(SettingError, match=r"requorum:notify: (?s:.*)code: setting-missing"):
        notify.rehearse(Cluster(make.settings()))


# What keeps a command from coming to anything

DATA = {"rows": {"service": "db", "backup": ["dump"], "restore": ["load"]}}
COMMANDS = {Subject.BACKUP: ["backup"], Subject.DRILL: ["drill"], Subject.DATA: ["data", "backup"]}


def run(monkeypatch: pytest.MonkeyPatch, of: Settings, *words: str) -> int:
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    return CliRunner().invoke(cli.app, list(words)).exit_code


def titles(heard: tuple[str, list[dict[str, str]]]) -> list[str]:
    return [message["title"].removeprefix("swarm lab: ") for message in heard[1]]


@pytest.mark.parametrize("subject", COMMANDS)
def test_a_command_that_ends_before_it_did_anything_is_told_as_failed(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch, subject: Subject
) -> None:
    settings = of().model_copy(update={"data": make.settings(data=DATA).data})
    gone = settings.model_copy(update={"backup": settings.backup.model_copy(update={"bucket": "nowhere"})})
    assert run(monkeypatch, gone, *COMMANDS[subject]) == 1
    assert titles(heard) == [f"{subject} failed"]
    assert "nowhere" in heard[1][0]["message"]


def test_that_no_engine_answers_is_told_once(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [run(monkeypatch, of(), "backup") for _ in range(3)] == [1, 1, 1]
    assert titles(heard) == ["backup failed"]


def test_that_there_is_nothing_to_drill_is_told_and_so_is_the_first_drill_that_works(
    of: Make,
    heard: tuple[str, list[dict[str, str]]],
    bucket: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert run(monkeypatch, of(), "drill") == 1
    copy = put(of(), tmp_path, "manager-a", 1)
    done = Drill(copy, "manager-a", Proof(Verdict.PROVEN, make.NOW), 1.0, 60.0)
    monkeypatch.setattr(drills_module, "drill", lambda *_, **__: iter([done]))
    assert [run(monkeypatch, of(), "drill") for _ in range(2)] == [0, 0]
    assert titles(heard) == ["drill failed", "drill recovered"]


def test_the_start_of_a_command_is_told_where_that_is_asked_for(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, of(events=["started", "failed"]), "backup") == 1
    assert titles(heard) == ["backup started", "backup failed"]
    assert heard[1][0]["message"] == "of manager-a, manager-b, manager-c"


def test_wrong_words_on_the_command_line_are_nobody_else_s_concern(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, of(), "backup", "manager-a") == 2
    assert run(monkeypatch, of(), "drill", "--on", "nobody") == 2
    assert [run(monkeypatch, of(), "backup", it, "--json") for it in ("--cold", "--or-cold")] == [2, 2], (
        "nothing is asked"
    )
    assert not heard[1]


def backed_up(monkeypatch: pytest.MonkeyPatch, of: Settings, *words: str, **verdicts: Verdict) -> int:
    """The exit status of a backup that makes a copy of each manager named by its last letter, at the main site."""
    made = [make.manifest(f"manager-{name}", proof=Proof(it, make.NOW)) for name, it in verdicts.items()]
    outcomes = [BackupResult(it.manager, replace(make.copy_of(it), sites=("main",)), it) for it in made]
    for taking in ("take_copies", "backup_cold", "backup_or_cold"):
        monkeypatch.setattr(backup_command, taking, lambda *_, **__: iter(outcomes))
    return run(monkeypatch, of, "backup", *words)


def test_a_copy_that_a_site_lacks_is_told(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = of()
    second = settings.backup.model_copy(
        update={"second": make.settings(backup={**make.RAW["backup"], "second": {"bucket": "other"}}).backup.second}
    )
    settings = settings.model_copy(update={"backup": second})
    good = Verdict.PROVEN
    assert backed_up(monkeypatch, settings, a=good, b=good, c=good) == 3
    assert [line.split(":")[0] for line in heard[1][0]["message"].splitlines()] == [f"manager-{n}" for n in "abc"]


def test_the_end_of_a_failed_backup_is_told_by_a_backup_of_every_manager(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = Verdict.PROVEN, Verdict.FAILED
    assert backed_up(monkeypatch, of(), a=good, b=bad, c=good) == 3
    assert backed_up(monkeypatch, of(), "--cold", "--yes", "manager-a", a=good) == 0
    assert titles(heard) == ["backup failed"]
    assert backed_up(monkeypatch, of(), a=good, b=good, c=good) == 0
    assert titles(heard) == ["backup failed", "backup recovered"]


@pytest.mark.parametrize("words", [(), ("--or-cold", "--yes"), ("--cold", "--yes")])
def test_a_manager_that_had_no_turn_is_not_copied(
    of: Make,
    heard: tuple[str, list[dict[str, str]]],
    bucket: Any,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    assert backed_up(monkeypatch, of(), *words, a=Verdict.PROVEN, c=Verdict.PROVEN) == 3
    (message,) = heard[1]
    assert message["message"].startswith("manager-b: ")
    assert message["message"].endswith("code: declared-lost")


def test_nothing_copied_is_never_fine(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (("--cold", "--yes", "manager-b"), ("--cold", "--yes"), ()):
        assert backed_up(monkeypatch, of(), *words) == 1
    assert titles(heard) == ["backup failed"]


def test_the_end_of_a_failed_drill_is_told_by_a_drill_of_every_manager(
    of: Make,
    heard: tuple[str, list[dict[str, str]]],
    bucket: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    verdicts = {put(of(), tmp_path, f"manager-{name}", 1): Verdict.PROVEN for name in "abc"}
    drilled = [copy for copy in verdicts if copy.manager == "manager-b"]

    def drills(_: object, __: object, chosen: list[Any], **___: object) -> Iterator[Drill]:
        return (Drill(copy, "manager-a", Proof(verdicts[copy], make.NOW), 1.0, 60.0) for copy in chosen)

    monkeypatch.setattr(drills_module, "drill", drills)
    verdicts[drilled[0]] = Verdict.FAILED
    assert run(monkeypatch, of(), "drill") == 3
    assert [run(monkeypatch, of(), "drill", copy.name) for copy in verdicts if copy not in drilled] == [0, 0]
    assert titles(heard) == ["drill failed"]
    verdicts[drilled[0]] = Verdict.PROVEN
    assert run(monkeypatch, of(), "drill") == 0
    assert titles(heard) == ["drill failed", "drill recovered"]


# Recoveries


@pytest.fixture
def proven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle.prove, "prove", lambda *_, **__: Health(make.CLUSTER, "manager-a"))


def refused(*_: object, **__: object) -> NoReturn:
    raise Refused("taking the lease", "ann has it", remedy="wait")


def explained(monkeypatch: pytest.MonkeyPatch, of: Settings, kind: Kind) -> tuple[str, ...]:
    monkeypatch.setattr(lifecycle, "assess", lambda _: cluster.assessment(of, kind))
    return lifecycle.explain(Cluster(of), say=print)


def test_an_update_that_fails_with_nothing_to_recover_is_no_failed_recovery(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert explained(monkeypatch, of(), Kind.HEALTHY)[0] == "the cluster is now: healthy"
    assert not heard[1]
    explained(monkeypatch, of(), Kind.QUORUM_LOST)
    assert titles(heard) == ["recovery failed"]


def test_two_of_three_managers_that_did_not_join_are_no_minority(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = of().managers
    seen = make.survey([make.manager(first, (first,)), *map(make.empty, others)])
    diagnosis = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    founded = replace(cluster.assessment(of()), survey=seen, diagnosis=diagnosis)
    monkeypatch.setattr(lifecycle, "assess", lambda _: founded)
    assert lifecycle.explain(Cluster(of()), say=print)[0] == "the cluster is now: 1 of 3 managers"


def test_one_that_fails_in_a_recovery_is(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.begin(Cluster(of()), Action.JOIN, "manager-c", print)
    explained(monkeypatch, of(), Kind.HEALTHY)
    assert titles(heard) == ["recovery failed"]


def test_what_nobody_can_see_into_may_be_lost(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "assess", refused)
    lifecycle.explain(Cluster(of()), say=print)
    assert titles(heard) == ["recovery failed"]


@pytest.mark.usefixtures("proven")
def test_a_proof_ends_a_failed_recovery_also_where_nothing_had_to_be_done(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        explained(monkeypatch, of(), Kind.ALL_LOST)
        lifecycle.finish(Cluster(of()), make.CLUSTER, how="pulumi", say=print)
    assert titles(heard) == ["recovery failed", "recovery recovered"] * 2


def test_fresh_copies_that_fail_are_a_failed_recovery_where_one_is_under_way(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "backup", refused)
    with pytest.raises(Refused):
        lifecycle.fresh_copies(Cluster(of()), say=print)
    assert not heard[1]
    journal.begin(Cluster(of()), Action.JOIN, "manager-c", print)
    with pytest.raises(Refused):
        lifecycle.fresh_copies(Cluster(of()), say=print)
    assert [message["message"] for message in heard[1]] == ["taking the lease: ann has it\n  next: wait"]


@pytest.mark.parametrize("raises", ["assess", "recover_all"])
def test_a_recovery_by_command_that_could_not_begin_is_told(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any, monkeypatch: pytest.MonkeyPatch, raises: str
) -> None:
    step = Step(Action.JOIN, "manager-c", "rejoin", "")
    found = replace(cluster.assessment(of()), plan=Plan(Kind.MINORITY_LOST, steps=(step,)))
    monkeypatch.setattr(recover_command, "assess", lambda _: found)
    monkeypatch.setattr(recover_command, raises, refused)
    assert [run(monkeypatch, of(), "recover", "--yes") for _ in range(2)] == [1, 1]
    assert titles(heard) == ["recovery failed"]
