"""Data are taken, and given back."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest
from backports import zstd

from recovery.cluster import Cluster
from recovery.data import backup as backups
from recovery.data import restore as restoring
from recovery.data.catalog import DataCatalog, DataCopy
from recovery.errors import DamagedCopy, NoUsableCopy, Refused, SettingError
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.data.stored import CONTENT, DAY, DUMP, LOAD, RECIPIENT, Node, put


def taken(of: Settings, *names: str) -> list[backups.DataBackupResult]:
    return list(backups.backup(Cluster(of), names, say=print))


def test_a_copy_is_taken_and_told_whole(of: Settings, bucket: Any, node: Node) -> None:
    (made,) = taken(of, "rows")
    assert made.manifest
    assert made.copy
    asked = {"name": "rows", "container": "c1", "command": DUMP, "volume": None, "recipients": [RECIPIENT]}
    assert node.asked == [asked]
    stored = {entry.key: entry.get()["Body"].read() for entry in bucket.objects.all()}
    assert set(stored) == {made.copy.key, made.copy.manifest_key}
    assert b"two" not in stored[made.copy.key]
    found = DataCatalog(Cluster(of)).manifest(made.copy)
    assert found == made.manifest
    origin = (found.service, found.image, found.node, found.slot, found.command, found.cluster_id)
    assert origin == ("db", "db:1", "worker-1", 1, tuple(DUMP), make.CLUSTER)
    assert made.missing_at(of) is False


def test_a_failing_command_gives_no_copy_and_keeps_no_other_from_being_taken(
    of: Settings, bucket: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.fails = "the command ended with exit status 3"
    assert ["exit status 3" in str(outcome.error) for outcome in taken(of, "rows", "files")] == [True, True]
    assert list(bucket.objects.all()) == []
    node.fails = ""
    assert [outcome.error for outcome in taken(of, "rows", "files")] == [None, None]


def test_what_nobody_here_can_open_is_told_at_once(of: Settings, bucket: Any, node: Node, tmp_path: Path) -> None:
    (tmp_path / "stranger").write_text(f"{pyrage.x25519.Identity.generate()}\n")
    backup = of.backup.model_copy(update={"identity_file": tmp_path / "stranger"})
    (outcome,) = taken(of.model_copy(update={"backup": backup}), "rows")
    assert outcome.error is not None
    assert outcome.error.code == "wrong-identity"
    for nothing in (None, tmp_path / "not on this machine"):
        blind = of.backup.model_copy(update={"identity_file": nothing})
        assert taken(of.model_copy(update={"backup": blind}), "rows")[0].error is None


def test_an_unknown_name_is_refused_before_anything(of: Settings, bucket: Any, node: Node) -> None:
    with pytest.raises(SettingError, match="code: no-such-name"):
        taken(of, "rows", "other")
    assert node.asked == []


def test_the_copy_is_chosen_by_name_or_time(of: Settings, bucket: Any, tmp_path: Path) -> None:
    old, new = put(of, tmp_path, 3 * DAY), put(of, tmp_path, 1 * DAY)
    catalog = DataCatalog(Cluster(of))
    table: list[tuple[str | datetime | None, DataCopy]] = [
        (None, new),
        (old.name, old),
        (new.taken, new),
        (new.taken - timedelta(seconds=1), old),
    ]
    for choice, expected in table:
        assert restoring.choose(catalog, "rows", choice) == expected
    for owner, wrong in (("rows", "data-rows-x"), ("rows", old.taken - DAY), ("files", None), ("files", old.name)):
        with pytest.raises(NoUsableCopy):
            restoring.choose(catalog, owner, wrong)


def test_a_copy_is_given_back_whole(of: Settings, bucket: Any, node: Node, tmp_path: Path) -> None:
    put(of, tmp_path)
    catalog = DataCatalog(Cluster(of))
    wanted = restoring.plan(Cluster(of), catalog, "rows", None)
    assert all(word in wanted.text for word in ("task 1 of db on worker-1", "2 other running tasks", ": load"))
    assert restoring.restore(Cluster(of), catalog, wanted, say=print) == 2.0
    assert node.given == CONTENT
    assert (node.asked[0]["command"], node.asked[0]["plain_size"]) == (LOAD, len(CONTENT))


def test_of_a_damaged_copy_not_a_byte_is_given(of: Settings, bucket: Any, node: Node, tmp_path: Path) -> None:
    copy = put(of, tmp_path, packed=zstd.compress(CONTENT + b"x"))
    catalog = DataCatalog(Cluster(of))
    with pytest.raises(DamagedCopy):
        restoring.restore(Cluster(of), catalog, restoring.plan(Cluster(of), catalog, "rows", copy.name), say=print)
    assert node.asked == []


def test_a_tar_file_is_not_given_to_a_command(of: Settings, bucket: Any, node: Node, tmp_path: Path) -> None:
    put(of, tmp_path, command=(), volume="v")
    with pytest.raises(Refused, match=r"code: copy-does-not-fit$"):
        restoring.plan(Cluster(of), DataCatalog(Cluster(of)), "rows", None)
