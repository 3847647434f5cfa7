"""The end that an operator gives a maintenance, and how status shows a node in one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from recovery.cli.maintenance import _end
from recovery.cli.show import cluster as show
from recovery.errors import OptionError
from recovery.planning.diagnosis import diagnose
from recovery.swarm.maintenance import NOTE
from tests.unit import factories as make

S = make.settings()


@pytest.mark.parametrize("text", ["tomorrow", "2026-01-02T04:00", "2026-01-02T03:00Z", "2025-01-01T00:00+01:00"])
def test_an_end_that_is_no_time_to_come_with_a_zone_is_refused(text: str) -> None:
    with pytest.raises(OptionError) as refused:
        _end(text, make.NOW)
    assert (refused.value.key, refused.value.code) == ("--until", "bad-argument")


def test_an_end_to_come_is_taken() -> None:
    assert _end("2026-01-02T04:04:05+00:00", make.NOW) == make.NOW + timedelta(hours=1)
    assert _end("2026-01-02T05:04:05+01:00", make.NOW) == make.NOW + timedelta(hours=1)
    assert _end("", make.NOW) is None


@pytest.mark.parametrize(("minutes", "over"), [(-1, True), (1, False)])
def test_the_json_of_status_has_the_availability_before_and_whether_the_end_is_past(minutes: int, over: bool) -> None:
    until = make.NOW + timedelta(minutes=minutes)
    seen = make.healthy(S)
    noted = {"labels": {NOTE: f"pause {until.isoformat()}"}, "availability": "drain"}
    reports = tuple(
        replace(r, members=tuple(replace(m, **noted) if m.hostname == "worker-1" else m for m in r.members))
        for r in seen.reports
    )
    seen = replace(seen, reports=reports)
    status = show.status(S, seen, diagnose(seen, make.CLUSTER, cluster="lab", copies=True), {}, None)
    told = {node["name"]: node["maintenance"] for node in show.as_json(status)["nodes"]}
    assert told["worker-1"] == {"before": "pause", "until": until.isoformat(), "over": over}
    assert told["worker-2"] is None
