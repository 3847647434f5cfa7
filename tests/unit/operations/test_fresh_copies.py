"""Copies after a change: which managers may be left out of them."""

import pytest

from recovery.cluster import Cluster
from recovery.errors import AccessDenied, Limited, Silent, SlowLogin, SshRefused, TransportError
from recovery.operations import lifecycle
from recovery.operations.backup import BackupResult
from tests.unit import factories as make


@pytest.mark.parametrize(
    ("error", "fails"),
    [(Silent, False), (SlowLogin, False), (Limited, False), (AccessDenied, True), (SshRefused, True)],
)
def test_a_manager_that_lets_nobody_in_now_is_left_out(
    monkeypatch: pytest.MonkeyPatch, error: type[TransportError], fails: bool
) -> None:
    outcome = BackupResult("manager-c", error=error("connecting", "for this reason", remedy=""))
    monkeypatch.setattr(lifecycle, "backup", lambda *_, **__: [outcome])
    monkeypatch.setattr(lifecycle, "_entries", lambda *_: ())
    told: list[str] = []
    if fails:
        with pytest.raises(error):
            lifecycle.fresh_copies(Cluster(make.settings()), say=told.append)
    else:
        lifecycle.fresh_copies(Cluster(make.settings()), say=told.append)
    assert told == ([] if fails else ["manager-c was not copied: for this reason"])
