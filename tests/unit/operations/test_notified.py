"""What S3 notes of notifications, at two sites of which one is silent for a moment."""

from pathlib import Path
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.operations import notify
from recovery.operations.notify import Event, Subject
from recovery.settings import Settings
from tests.unit import factories as make


@pytest.mark.parametrize("silent", ["main", "second"])
@pytest.mark.parametrize("turn", range(4))
def test_each_failure_and_each_end_is_sent_once_whichever_site_was_silent(
    bucket: Any, out: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: str, turn: int
) -> None:
    bucket.meta.client.create_bucket(Bucket="other")
    (tmp_path / "urls").write_text("json://127.0.0.1/\n")
    backup = {**make.RAW["backup"], "second": {"bucket": "other"}}
    of = make.settings(notify={"urlsFile": str(tmp_path / "urls")}, backup=backup)
    sent: list[Event] = []
    monkeypatch.setattr(notify, "_send", lambda *given, **_: sent.append(given[2]) or True)
    for now, faults in enumerate((["torn"], [], ["torn"], ["torn"], [])):
        out.clear()
        out.update({silent} if now == turn else ())
        notify.outcome(Cluster(of), Subject.BACKUP, faults, "all proven", say=print)
    assert sent == [Event.FAILED, Event.RECOVERED, Event.FAILED, Event.RECOVERED]


def test_it_is_known_whether_anything_is_left_to_send(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = make.settings(notify={"urlsFile": str(tmp_path / "urls")})
    gone = of.model_copy(update={"backup": of.backup.model_copy(update={"bucket": "nowhere"})})

    def failed(settings: Settings, *, accepted: bool = True) -> bool:
        monkeypatch.setattr(notify, "_send", lambda *_, **__: accepted)
        return notify.failed(Cluster(settings), Subject.WATCH, "lost", say=print, about="lost")

    def over(settings: Settings, *, accepted: bool = True) -> bool:
        monkeypatch.setattr(notify, "_send", lambda *_, **__: accepted)
        return notify.went_well(Cluster(settings), Subject.WATCH, "back", say=print)

    assert [failed(of, accepted=False), failed(of), failed(of, accepted=False)] == [False, True, True]
    assert [over(of, accepted=False), over(of), over(of, accepted=False)] == [False, True, True]
    assert (failed(gone), over(gone)) == (True, False), "without S3, nobody can say whether a loss was sent"
    assert (failed(make.settings()), over(make.settings())) == (True, True), "nobody is to be told"
