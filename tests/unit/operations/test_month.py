"""One month: what agents saw, what reports tell, copies and drills, and what of it counts."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recovery.agent.diary import as_json
from recovery.cli import app, console
from recovery.cluster import Cluster
from recovery.copies.manifest import Proof, Verdict
from recovery.errors import SettingError
from recovery.node.signing import Kind
from recovery.operations import month
from recovery.operations.month import Records, summary
from recovery.operations.page import month as page
from recovery.planning.standing import Mark
from recovery.swarm.history import HOUR, MOST_COPIES, MOST_SPANS, History
from tests.unit import factories as make
from tests.unit.copies.stored import put
from tests.unit.operations.page import samples

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
START, DAY = int(BEGUN.timestamp()), 24 * HOUR
END = BEGUN + timedelta(days=31)


def of(*histories: History, reports: tuple[Any, ...] = (), now: datetime = END) -> dict[str, Any]:
    named = {f"manager-{letter}": one for letter, one in zip("abc", histories, strict=False)}
    return summary(Records("lab", named, {}, reports=reports), "2026-01", now)


def spans(*pairs: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple((START + a, START + b) for a, b in pairs)


ALWAYS = spans((-DAY, 40 * DAY))


def test_the_swarm_was_up_when_any_manager_saw_a_quorum() -> None:
    found = of(History(ALWAYS, spans((0, 100), (200, 300))), History(ALWAYS, spans((50, 250))))["availability"]
    assert [(one["begun"], one["seconds"]) for one in found["outages"]] == [
        ("2026-01-01T00:00:50+00:00", 50),
        ("2026-01-01T00:03:20+00:00", 50),
    ]
    assert (found["lostSeconds"], found["unknownSeconds"], found["quorumSeconds"]) == (100, 0, 31 * DAY - 100)
    assert found["share"] == round(1 - 100 / (31 * DAY), 6)


def test_a_time_that_nobody_watched_is_neither_up_nor_down() -> None:
    found = of(History(spans((0, DAY)), spans((0, DAY // 2))))["availability"]
    assert (found["share"], found["unknownSeconds"]) == (0.5, 30 * DAY)
    assert found["days"][0] == {
        "day": "2026-01-01",
        "quorumSeconds": DAY // 2,
        "lostSeconds": DAY // 2,
        "unknownSeconds": 0,
    }
    assert found["days"][30]["unknownSeconds"] == DAY
    assert of()["availability"]["share"] is None


def test_a_month_that_goes_on_ends_now() -> None:
    now = BEGUN + timedelta(days=2, hours=6)
    found = of(History(ALWAYS), now=now)
    assert (found["ended"], len(found["availability"]["days"])) == (now.isoformat(), 3)
    assert found["availability"]["quorumSeconds"] == 2 * DAY + 6 * HOUR


def told(began: datetime | None, seconds: float | None) -> dict[str, Any]:
    loss = {"began": began.isoformat() if began else None, "seenBy": "worker-1"}
    ended = (began or BEGUN) + timedelta(minutes=10)
    return {
        **samples.recovery(),
        "ended": ended.isoformat(),
        "loss": loss,
        "outage": {"seconds": seconds, "atLeast": 1, "atMost": 2},
    }


def test_a_report_tells_of_an_outage_that_no_agent_could_watch() -> None:
    began = BEGUN + timedelta(days=3)
    found = of(History(spans((0, 3 * DAY), (3 * DAY + 240, 31 * DAY))), reports=(told(began, 300.4),))
    (outage,) = found["availability"]["outages"]
    assert (outage["begun"], outage["seconds"], outage["recovered"]) == (began.isoformat(), 240, True)
    assert [one["lost"] for one in found["recoveries"]] == [["manager-eu-1a", "manager-eu-1b", "manager-eu-1c"]]


@pytest.mark.parametrize(
    "report", [told(None, 30), told(BEGUN, None), {**told(BEGUN, 3), "loss": None, "outage": None}]
)
def test_a_report_that_cannot_tell_when_adds_no_outage(report: dict[str, Any]) -> None:
    found = of(History(ALWAYS), reports=(report,))
    assert found["availability"]["outages"] == []
    assert len(found["recoveries"]) == 1


def test_recoveries_of_other_months_are_in_those() -> None:
    reports = tuple(told(BEGUN + timedelta(days=days), 3) for days in (-1, 5, 31))
    assert len(of(reports=reports)["recoveries"]) == 1


def test_the_age_of_copies_is_counted_from_the_one_before_the_month() -> None:
    history = History(proven=(START - 5 * HOUR, START + 2 * HOUR, START + 30 * DAY))
    found = of(history, History(proven=(START + 40 * DAY,)))["copies"]
    assert found[0] == {
        "manager": "manager-a",
        "proven": 2,
        "newest": "2026-01-31T00:00:00+00:00",
        "longestSeconds": 30 * DAY - 2 * HOUR,
        "recordedFrom": None,
    }
    assert (found[1]["proven"], found[1]["longestSeconds"]) == (0, None)


def test_before_the_oldest_copy_of_a_full_history_nobody_knows_how_old_copies_were() -> None:
    every_hour = tuple(START + DAY * 40 + HOUR * number for number in range(MOST_COPIES))
    known = Records("lab", {"manager-a": History(proven=every_hour)}, {"manager-a": (START, START + 7 * DAY)})
    now = BEGUN + timedelta(days=100)
    (january,), (february,), (march,) = (
        summary(known, text, now)["copies"] for text in ("2026-01", "2026-02", "2026-03")
    )
    assert (january["longestSeconds"], january["recordedFrom"]) == (None, "2026-02-10T00:00:00+00:00")
    assert (february["longestSeconds"], february["recordedFrom"]) == (HOUR, "2026-02-10T00:00:00+00:00")
    assert march["recordedFrom"] is None
    _, _, aged, *_ = page._answers(summary(known, "2026-01", now))
    assert (aged.short, aged.mark) == ("Not known", Mark.SILENT)
    assert "before 2026-02-10" in aged.detail
    row = {**january, "proven": 0, "newest": None}
    assert [page._copies(row)[key] for key in ("newest", "mark")] == ["not known", Mark.SILENT]
    assert page._copies({**row, "recordedFrom": None})["mark"] is Mark.LOST


def test_before_the_oldest_loss_of_a_full_history_nobody_watched() -> None:
    losses = spans(*((DAY + number * 100, DAY + number * 100 + 10) for number in range(MOST_SPANS)))
    found = of(History(ALWAYS, losses))["availability"]
    assert (found["unknownSeconds"], found["lostSeconds"]) == (DAY, 10 * MOST_SPANS)


@pytest.mark.parametrize(
    ("watched", "said", "mark"),
    [(spans((0, HOUR)), "Never seen", Mark.SILENT), (ALWAYS, "Never", Mark.FINE)],
    ids=["one hour of the month", "all of it"],
)
def test_never_is_said_only_of_a_month_that_was_watched(watched: Any, said: str, mark: Mark) -> None:
    _, lost, *_ = page._answers(of(History(watched)))
    assert (lost.short, lost.mark) == (said, mark)


@pytest.mark.parametrize("text", ["2026-02", "2026-13", "202601", "", "november", "2026-01-01", "9999-12"])
def test_what_names_no_month_that_has_begun_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="--month 2026-01") as caught:
        month.bounds(text, BEGUN + timedelta(days=3))
    assert caught.value.code == "bad-argument"


def test_december_ends_with_the_year() -> None:
    assert month.bounds("2025-12", END)[1] == BEGUN


def test_what_s3_holds_is_gathered_and_only_what_is_signed_counts(bucket: Any, tmp_path: Path) -> None:
    cluster = Cluster(make.settings())
    keys, now = cluster.settings.keys, datetime.now(UTC)
    at = int((now - timedelta(hours=2)).timestamp())
    seen = History(((at, at + 60),), ((at + 10, at + 20),), (at,))
    bucket.put_object(Key=keys.history("manager-a"), Body=as_json(seen.joined(History(((at, 1 << 60),)))))
    bucket.put_object(Key=keys.history("manager-b"), Body=b"{")
    bucket.put_object(Key=keys.history("stranger"), Body=as_json(seen))
    put(cluster.settings, tmp_path, "manager-c", 3, proof=Proof(Verdict.PROVEN, make.NOW))
    for name in ("20260102T030429000000Z", "20260103T030429000000Z"):
        document = {**samples.recovery(), "ended": now.isoformat()}
        key = f"{keys.reports}{name}.json"
        signed = cluster.operators.sign(Kind.REPORT, key, document)
        bucket.put_object(Key=key, Body=signed if "0102" in name else json.dumps(document))
    known = month.gathered(cluster, now)
    assert known.histories["manager-a"].watched == ((at, int(now.timestamp())),)
    assert known.histories["manager-b"] == History()
    assert "stranger" not in known.histories
    assert len(known.proven["manager-c"]) == 1
    assert [report["name"] for report in known.reports] == ["20260102T030429000000Z"]
    assert any("20260103T030429000000Z is left out" in note for note in known.notes)
    assert month.of(cluster, f"{now:%Y-%m}", now)["cluster"] == "lab"


def test_a_month_is_a_page_or_json(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_settings", lambda *_: make.settings())
    run = CliRunner().invoke
    refused = run(app, ["report", "--month", "2026-01"])
    assert (refused.exit_code, "--html month.html" in refused.stderr) == (2, True)
    assert json.loads(run(app, ["report", "--month", "2026-01", "--json"]).stdout)["month"] == "2026-01"
    assert run(app, ["report", "--month", "2026-01", "--html", "-"]).stdout.startswith("<!DOCTYPE html>")
