"""Notifications, to a server of the test's own: a failure is told once, and so is its end."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from recovery import notify
from recovery.errors import SettingError
from recovery.notify import Subject
from recovery.settings import Settings
from tests.unit import factories as make

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
        notify.outcome(of, Subject.BACKUP, [fault] if fault else [], "all proven", say=said.append)
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
    notify.failed(of(), Subject.DRILL, "it did not come up", say=print)
    assert [message["title"] for message in heard[1]] == ["swarm lab: backup failed", "swarm lab: drill failed"]


def test_a_start_is_told_only_where_that_is_asked_for(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any
) -> None:
    notify.started(of(), Subject.RECOVERY, "the plan", say=print)
    assert not heard[1]
    notify.started(of(events=["started"]), Subject.RECOVERY, "the plan", say=print)
    outcomes(of(events=["started"]), "torn", "")
    assert [message["title"] for message in heard[1]] == ["swarm lab: recovery started"]


def test_without_s3_the_failure_is_told_all_the_same(
    of: Make, heard: tuple[str, list[dict[str, str]]], bucket: Any
) -> None:
    gone = of().model_copy(update={"backup": of().backup.model_copy(update={"bucket": "nowhere"})})
    said = outcomes(gone, "S3 is down")
    assert [message["message"] for message in heard[1]] == ["S3 is down"]
    assert any("could not be noted" in line for line in said)


def test_a_service_that_does_not_answer_fails_nothing_and_shows_no_secret(bucket: Any, tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text("json://user:hidden@127.0.0.1:9/\n")
    said = outcomes(make.settings(notify={"urlsFile": str(file)}), "torn")
    assert said == ["not every service of requorum:notify.urlsFile took the message: swarm lab: backup failed"]


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file"), ("nothing://hidden\n", "line 1 is no URL"), ("json://a\nhidden", "line 2")],
)
def test_an_unusable_file_is_told_without_its_content(tmp_path: Path, content: str | None, why: str) -> None:
    file = tmp_path / "urls"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingError, match=why) as error:
        notify.rehearse(make.settings(notify={"urlsFile": str(file)}))
    assert "hidden" not in str(error.value)


def test_a_rehearsal_arrives(of: Make, heard: tuple[str, list[dict[str, str]]]) -> None:
    assert notify.rehearse(of())
    assert [message["title"] for message in heard[1]] == ["swarm lab: a rehearsal"]
    with pytest.raises(SettingError, match="requorum:notify: is not set"):
        notify.rehearse(make.settings())
