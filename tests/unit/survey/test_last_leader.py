"""When a node lost its last leader, read from what its engine's log says."""

from datetime import UTC, datetime

import pytest

from recovery.survey.last_leader import read

LINE = '1764352968.052673 worker-1 dockerd[60]: level=error msg="agent: session failed" backoff=100ms error="EOF"'
LOST = datetime.fromtimestamp(1764352968.052673, UTC)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (f"{LINE}\nstarted 1764350000\n", LOST),
        (f"{LINE}\n", LOST),
        (f"{LINE}\nstarted 1764352960\n", None),
        ("started 1764350000\n", None),
        ("", None),
        ("-- No entries --\nstarted n/a\n", None),
    ],
    ids=["told", "no systemd", "just started", "never lost", "nothing", "garbled"],
)
def test_the_time_of_the_last_session_is_read_unless_the_engine_had_just_started(
    answer: str, told: datetime | None
) -> None:
    assert read(answer) == told
