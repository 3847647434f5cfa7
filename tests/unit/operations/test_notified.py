"""What S3 notes of notifications, at two sites of which one is silent for a moment."""

from pathlib import Path
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.operations import notify
from recovery.operations.notify import Event, Subject
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
