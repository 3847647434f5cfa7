"""Copies of services' data: whose task is asked, what lies in S3, what is given back, and what is pruned."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Self

import pyrage
import pytest
from backports import zstd
from typer.testing import CliRunner

from recovery import cli
from recovery.cli import metrics
from recovery.cli.show import cluster as show
from recovery.cli.show.contract import span as in_words
from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.data import backup as backups
from recovery.data import restore as restoring
from recovery.data import stream, task
from recovery.data.catalog import DataCatalog, DataCopy
from recovery.data.manifest import FORMAT, DataManifest, from_json
from recovery.errors import CommandFailed, DamagedCopy, NoUsableCopy, Refused, SettingError, StoreError
from recovery.node import program
from recovery.operations import prune as pruning
from recovery.planning.diagnosis import diagnose
from recovery.s3 import sealing
from recovery.s3.sealing import Identities
from recovery.s3.site import Site
from recovery.settings import Data, Settings
from recovery.swarm.model import Service, Task
from tests.unit import factories as make
from tests.unit.copies.test_catalog import put as put_manager

DUMP, LOAD = ["dump", "--all"], ["load"]
DATA = {
    "rows": {"service": "db", "backup": DUMP, "restore": LOAD},
    "files": {"service": "web", "volume": "web_files"},
}
CONTENT = b"one\ntwo\n" + bytes(5_000_000) + os.urandom(100_000)
RECIPIENT = str(make.IDENTITY.to_public())
DAY = timedelta(days=1)


@pytest.fixture
def of() -> Settings:
    return make.settings(data=DATA)


# Which task


S = make.settings(data=DATA)
W1, W2 = S.workers
MEMBERS = make.members(S.nodes, leader="manager-a")
DB = Service("s1", "db", 3)


def one(node: str, slot: int = 0, *, service: str = "s1", running: bool = True, container: str = "c") -> Task:
    return Task(service, f"id-{node}", running, slot, container)


CHOICES: list[tuple[str, list[Task], tuple[str, int, int]]] = [
    ("the lowest slot", [one("worker-1", 2), one("worker-2", 1)], ("worker-2", 1, 1)),
    ("the lowest that runs", [one("worker-2", 1, running=False), one("worker-1", 2)], ("worker-1", 2, 0)),
    ("one that has its container", [one("worker-2", 1, container=""), one("worker-1", 2)], ("worker-1", 2, 0)),
    ("of its own service", [one("worker-2", 1, service="s2"), one("worker-1", 2)], ("worker-1", 2, 0)),
    ("of a global one, the first node of the settings", [one("worker-2"), one("worker-1")], ("worker-1", 0, 1)),
    ("on a node that we know", [one("stranger", 1), one("worker-1", 2)], ("worker-1", 2, 1)),
]


@pytest.mark.parametrize(("tasks", "chosen"), [row[1:] for row in CHOICES], ids=[row[0] for row in CHOICES])
def test_whose_task_is_asked(tasks: list[Task], chosen: tuple[str, int, int]) -> None:
    place = task.choose(S.data["rows"], [DB], tasks, MEMBERS, S.nodes)
    assert (place.node.name, place.task.slot, place.others) == chosen
    assert place.node.name in place.text


@pytest.mark.parametrize(
    ("services", "tasks", "code"),
    [
        ([replace(DB, name="other")], [one("worker-1", 1)], "no-such-service"),
        ([], [], "no-such-service"),
        ([DB], [one("worker-1", 1, running=False)], "service-not-running"),
        ([DB], [one("stranger", 1)], "service-not-running"),
    ],
)
def test_where_no_task_can_be_asked_it_is_refused(services: list[Service], tasks: list[Task], code: str) -> None:
    with pytest.raises(Refused, match=f"code: {code}$"):
        task.choose(S.data["rows"], services, tasks, MEMBERS, S.nodes)


# The manifest, and what it says of a copy


def manifest(name: str = "rows", content: bytes = CONTENT, ago: timedelta = DAY, **changes: Any) -> DataManifest:
    of_volume = DATA[name].get("volume")
    values: dict[str, Any] = {
        "name": name,
        "service": "db",
        "image": "db:1",
        "node": "worker-1",
        "slot": 1,
        "command": () if of_volume else tuple(DUMP),
        "volume": of_volume,
        "cluster_id": make.CLUSTER,
        "taken": make.NOW - ago,
        "seconds": 1.5,
        "changed": False,
        "size": 0,
        "sha256": "",
        "plain_size": len(content),
        "plain_sha256": hashlib.sha256(content).hexdigest(),
        "recipients": (RECIPIENT,),
    }
    return DataManifest(**{**values, **changes})


def sealed_at(path: Path, content: bytes = CONTENT, packed: bytes | None = None, **changes: Any) -> DataManifest:
    """The manifest of a copy that lies sealed at ``path``."""
    stored = sealing.seal(zstd.compress(content) if packed is None else packed, [RECIPIENT])
    path.write_bytes(stored)
    return manifest(content=content, size=len(stored), sha256=hashlib.sha256(stored).hexdigest(), **changes)


def put(of: Settings, folder: Path, ago: timedelta = DAY, **changes: Any) -> DataCopy:
    return DataCatalog(Cluster(of)).add(sealed_at(folder / "copy", ago=ago, **changes), folder / "copy")


@pytest.mark.parametrize("changes", [{}, {"command": (), "volume": "v", "changed": True}], ids=["command", "volume"])
def test_a_manifest_survives_its_own_format(changes: dict[str, Any]) -> None:
    made = manifest(**changes)
    assert from_json(made.to_json(), source="it") == made


BAD = {"volume": "v"}, {"command": []}, {"taken": "2026-01-01T00:00:00"}, {"format": FORMAT + 1}, {"stranger": 1}


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", *(json.dumps({**json.loads(manifest().to_json()), **bad}).encode() for bad in BAD)])  # fmt: skip
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(DamagedCopy, match=r"code: copy-damaged$"):
        from_json(text, source="it")


IDENTITIES = Identities(S.backup.identity_file, setting="backup.identityFile")


def test_a_good_copy_is_good(tmp_path: Path) -> None:
    made = sealed_at(tmp_path / "copy")
    stream.check(tmp_path / "copy", made, IDENTITIES, source="it")


PACKED = zstd.compress(CONTENT)
DAMAGE: list[tuple[str, dict[str, Any]]] = [
    ("unpacks to less", {"packed": zstd.compress(CONTENT[:-1])}),
    ("altered", {"packed": zstd.compress(CONTENT[:-1] + b"x")}),
    ("cut off before it was sealed", {"packed": PACKED[:-9]}),
    ("nothing", {"packed": b""}),
    ("something behind it", {"packed": PACKED + b"x"}),
    ("not packed", {"packed": CONTENT}),
]


@pytest.mark.parametrize("how", [row[1] for row in DAMAGE], ids=[row[0] for row in DAMAGE])
def test_a_copy_that_holds_something_else_is_damaged(tmp_path: Path, how: dict[str, Any]) -> None:
    made = sealed_at(tmp_path / "copy", **how)
    with pytest.raises(DamagedCopy, match=r"code: copy-damaged$"):
        stream.check(tmp_path / "copy", made, IDENTITIES, source="it")


@pytest.mark.parametrize(
    ("change", "why"), [(lambda b: b[:-1], "bytes, its manifest"), (lambda b: b[:-1] + b"?", "SHA-256")]
)
def test_an_object_that_was_touched_is_damaged(tmp_path: Path, change: Callable[[bytes], bytes], why: str) -> None:
    made, path = sealed_at(tmp_path / "copy"), tmp_path / "copy"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DamagedCopy, match=why):
        stream.check(path, made, IDENTITIES, source="it")


@pytest.mark.parametrize("cut", [30, 100_000], ids=["in the header", "in the middle"])
def test_what_age_cannot_open_is_told(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "copy"
    made = sealed_at(path)
    stored = path.read_bytes()[:cut]
    path.write_bytes(stored)
    fitting = replace(made, size=len(stored), sha256=hashlib.sha256(stored).hexdigest())
    with pytest.raises(DamagedCopy, match=r"do not open it|cut off or altered"):
        stream.check(path, fitting, IDENTITIES, source="it")


def test_a_copy_is_opened_on_its_way(tmp_path: Path) -> None:
    sealed_at(tmp_path / "copy")
    with stream.opened(tmp_path / "copy", IDENTITIES, first=b"program") as pipe:
        found = b"".join(iter(lambda: pipe.read(1 << 20), b""))
    assert found == b"program" + PACKED


def test_whoever_needs_no_more_ends_it(tmp_path: Path) -> None:
    sealed_at(tmp_path / "copy")
    with stream.opened(tmp_path / "copy", IDENTITIES, first=b"program") as pipe:
        assert pipe.read(7) == b"program"


# In S3


def test_copies_are_listed_newest_first_each_with_its_name(of: Settings, bucket: Any, tmp_path: Path) -> None:
    old, new, files = (put(of, tmp_path, ago * DAY, **how) for ago, how in ((3, {}), (1, {}), (2, {"name": "files"})))
    catalog = DataCatalog(Cluster(of))
    assert catalog.copies == (new, files, old)
    assert catalog.of("rows") == (new, old)
    assert catalog.newest_of_each() == (files, new)
    assert new.key == "requorum/lab/data/rows/data-rows-20260101T030405000000Z.zst.age"
    assert catalog.manifest(new).taken == new.taken
    assert catalog.copies[0].sites == ("main",)


def test_copies_of_data_and_of_managers_are_not_taken_for_each_other(of: Settings, bucket: Any, tmp_path: Path) -> None:
    data = put(of, tmp_path)
    manager = put_manager(of, tmp_path, "manager-a", 5)
    elsewhere = {"cluster": "data", "backup": of.backup.model_copy(update={"prefix": "requorum/lab"})}
    other = of.model_copy(update=elsewhere)
    put_manager(other, tmp_path, "manager-a", 3)
    assert DataCatalog(Cluster(of)).copies == (data,)
    assert DataCatalog(Cluster(of)).halves == ()
    catalog = Catalog(of)
    assert (catalog.copies, catalog.halves, catalog.marked) == ((manager,), (), ())
    assert [copy.manager for copy in Catalog(other).copies] == ["manager-a"]
    assert Catalog(other).halves == ()


def test_without_its_manifest_it_is_no_copy(of: Settings, bucket: Any, tmp_path: Path, monkeypatch: Any) -> None:
    def broken(*_: object) -> None:
        raise StoreError("writing", "the connection broke", remedy="")

    monkeypatch.setattr(Site, "keep", broken)
    with pytest.raises(StoreError):
        put(of, tmp_path)
    catalog = DataCatalog(Cluster(of))
    assert catalog.copies == ()
    assert len(catalog.halves) == 1


def test_a_copy_under_another_name_is_told(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path)
    for key in (copy.key, copy.manifest_key):
        bucket.Object(key.replace("rows", "files")).copy_from(CopySource={"Bucket": "copies", "Key": key})
    ((_, first), (_, second)) = DataCatalog(Cluster(of)).manifests()
    assert {found.code for found in (first, second) if isinstance(found, DamagedCopy)} == {"copy-damaged"}


# Taken and given back, with the node's part played here


class Node:
    """What a node would do, and what was asked of it."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.fails = ""
        self.asked: list[dict[str, Any]] = []
        self.given = b""

    def __call__(self, *_: Any) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def fetch(self, _: Any, verb: str, given: str, *, stdout: Path, seconds: float) -> dict[str, Any]:
        self._ask(verb, given, "take-data")
        made = sealed_at(stdout, self.content)
        names = ("size", "sha256", "plain_size", "plain_sha256", "seconds", "changed")
        return {name: getattr(made, name) for name in names}

    def feed(self, _: Any, verb: str, given: str, *, stdin: IO[bytes], seconds: float) -> dict[str, Any]:
        received = b"".join(iter(lambda: stdin.read(1 << 20), b""))
        self._ask(verb, given, "give-data")
        assert received.startswith(program.packed())
        self.given = zstd.decompress(received.removeprefix(program.packed()))
        return {"seconds": 2.0}

    def _ask(self, verb: str, given: str, expected: str) -> None:
        assert verb == expected
        self.asked.append(json.loads(given))
        if self.fails:
            raise CommandFailed("copying data", self.fails, remedy="see below")


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    played = Node()
    monkeypatch.setattr(Cluster, "shell", lambda _, node: played(node))
    monkeypatch.setattr(program, "fetch", played.fetch)
    monkeypatch.setattr(program, "feed", played.feed)

    def find(_: Cluster, data: Data) -> task.TaskLocation:
        if data.service == "web" and played.fails == "no task":
            raise Refused("looking for service web", "none of its tasks is running", remedy="")
        return task.TaskLocation(data.service, Task("s1", "n1", True, 1, "c1", "db:1"), W1, 2, make.CLUSTER)

    monkeypatch.setattr(task, "find", find)
    return played


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
    found = from_json(stored[made.copy.manifest_key], source="it")
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


# Pruned


def ruled(**counts: Any) -> Settings:
    rules = {"last": 1, "hourly": 0, "daily": 0, "weekly": 0, "monthly": 0, "minimum": 1, "graceHours": 1, **counts}
    return make.settings(data=DATA, backup={**make.RAW["backup"], "retention": rules})


def prune(of: Settings) -> list[DataCopy]:
    done = pruning.DATA.prune(Cluster(of), pruning.DATA.look(Cluster(of), make.NOW), make.NOW, say=print)
    assert not [removal.error for removal in done if removal.error]
    return [removal.decision.copy for removal in done]


def keys(bucket: Any) -> set[str]:
    return {entry.key for entry in bucket.objects.all() if not entry.key.endswith("lease.json")}


def test_what_no_rule_keeps_goes_and_the_last_of_each_never(bucket: Any, tmp_path: Path) -> None:
    of = ruled(last=0)
    old, new, other = put(of, tmp_path, 3 * DAY), put(of, tmp_path, 2 * DAY), put(of, tmp_path, 9 * DAY, name="files")
    assert prune(of) == [old]
    assert keys(bucket) == {key for copy in (new, other) for key in (copy.key, copy.manifest_key)}
    assert prune(of) == []


def test_the_cluster_s_rules_say_nothing_of_data(bucket: Any, tmp_path: Path) -> None:
    of = ruled(cluster={"last": 9})
    old, _ = put(of, tmp_path, 3 * DAY), put(of, tmp_path, 2 * DAY)
    assert prune(of) == [old]


def test_a_torn_copy_stands_in_for_none(bucket: Any, tmp_path: Path) -> None:
    of = ruled()
    _, good, torn = put(of, tmp_path, 5 * DAY), put(of, tmp_path, 3 * DAY), put(of, tmp_path, 1 * DAY)
    bucket.put_object(Key=torn.key, Body=b"half")
    prune(of)
    assert DataCatalog(Cluster(of)).copies == (torn, good)


def test_broken_uploads_go_when_they_are_old(bucket: Any, tmp_path: Path) -> None:
    of = ruled(graceHours=36)
    young, old, kept = put(of, tmp_path, DAY), put(of, tmp_path, 2 * DAY), put(of, tmp_path, 3 * DAY)
    for copy in (young, old):
        bucket.Object(copy.manifest_key).delete()
    assert prune(of) == [old]
    assert keys(bucket) == {young.key, kept.key, kept.manifest_key}


def test_pruning_managers_leaves_data_alone_and_the_other_way_round(bucket: Any, tmp_path: Path) -> None:
    of = ruled()
    for days in (1, 2, 3):
        put(of, tmp_path, days * DAY)
        put_manager(of, tmp_path, "manager-a", days * 24 * 60)
    agreed = pruning.MANAGERS.look(Cluster(of), make.NOW)
    pruning.MANAGERS.prune(Cluster(of), agreed, make.NOW, say=print)
    assert (len(Catalog(of).copies), len(DataCatalog(Cluster(of)).copies)) == (1, 3)
    prune(of)
    assert (len(Catalog(of).copies), len(DataCatalog(Cluster(of)).copies)) == (1, 1)


def test_without_rules_nothing_goes(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, 999 * DAY)
    assert prune(of) == []


@pytest.mark.usefixtures("s3_time")
def test_a_copy_of_a_clock_that_was_ahead_is_not_the_newest_for_ever(bucket: Any, tmp_path: Path) -> None:
    of = ruled()
    early, right, old = put(of, tmp_path, -9 * DAY), put(of, tmp_path, DAY), put(of, tmp_path, 2 * DAY)
    catalog = DataCatalog(Cluster(of))
    assert catalog.copies == (right, old, early)
    assert catalog.newest_of_each() == (right,)
    assert [copy.dated for copy in catalog.copies] == [right.taken, old.taken, make.NOW]
    for choice in (None, make.NOW):
        assert restoring.choose(catalog, "rows", choice) == right
    first, *_ = pruning.DATA.look(Cluster(of), make.NOW)
    assert (
        first.copy,
        first.reasons[0].startswith("no rule removes a copy that cannot be judged: its node's clock was ahead"),
    ) == (early, True)
    assert prune(of) == [old], "it stands in for none"
    for key in (right.key, right.manifest_key):
        bucket.Object(key).delete()
    assert restoring.choose(DataCatalog(Cluster(of)), "rows", make.NOW) == early, (
        "it is better than none, and is dated by S3"
    )


@pytest.mark.usefixtures("s3_time")
def test_a_copy_is_no_younger_than_its_place_in_s3(
    run: Callable[..., Any], node: Node, of: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = put(of, tmp_path, -9999 * DAY)
    (shown,) = listed(run)
    assert shown["clock"] == DataCatalog(Cluster(of)).copies[0].clock != ""
    span = in_words(int((datetime.now(UTC) - make.NOW).total_seconds()))
    assert f"{span} (clock ahead)" in run("list").stdout
    assert f"The copy is {span} old" in run("restore", "rows", answer="n\n").stdout
    assert f"{early.name}  {span}" in run("prune", "--dry-run").stdout
    healthy = make.healthy(of)
    found = diagnose(healthy, make.CLUSTER, cluster="lab", copies=True)
    monkeypatch.setattr(metrics, "status_of", lambda _: show.status(of, healthy, found, [], None))
    families = {family.name: family for family in metrics._watched(Cluster(of)).collect()}
    (sample,) = families["requorum_last_data_copy_timestamp_seconds"].samples
    assert sample.value == make.NOW.timestamp()


def test_other_people_s_names_are_no_copies(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path)
    for name in ("rows/data-rows-20261399T030405000000Z", "rows/data-files-20260101T030405000000Z", "rows/photo"):
        bucket.put_object(Key=f"requorum/lab/data/{name}.zst.age", Body=b"x")
    catalog = DataCatalog(Cluster(of))
    assert (catalog.copies, catalog.halves) == ((copy,), ())


# By command


@pytest.fixture
def run(of: Settings, bucket: Any, node: Node, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)

    def run(*words: str, answer: str | None = None) -> Any:
        return CliRunner().invoke(cli.app, ["data", *words], input=answer)

    return run


def listed(run: Callable[..., Any]) -> Sequence[dict[str, Any]]:
    copies: Sequence[dict[str, Any]] = json.loads(run("list", "--json").stdout)["copies"]
    return copies


def test_backup_list_and_verify(run: Callable[..., Any], node: Node, bucket: Any) -> None:
    assert "next: requorum data backup" in run("list").stdout
    assert run("verify").exit_code == 1
    assert run("backup").exit_code == 0
    assert [(copy["data"], copy["error"], copy["plainSize"]) for copy in listed(run)] == [
        ("files", None, len(CONTENT)),
        ("rows", None, len(CONTENT)),
    ]
    assert "volume web_files" in run("list").stdout
    assert run("verify").exit_code == 0
    newest = listed(run)[0]
    bucket.put_object(Key=newest["key"], Body=b"x")
    assert run("verify").exit_code == 3
    assert run("verify", newest["name"]).exit_code == 1


def test_the_exit_status_of_a_backup(run: Callable[..., Any], node: Node) -> None:
    node.fails = "no task"
    assert run("backup").exit_code == 1, "each fails"
    node.fails = ""
    assert run("backup", "rows").exit_code == 0
    assert run("backup", "other").exit_code == 2
    assert [copy["data"] for copy in listed(run)] == ["rows"]


def test_some_that_fail_are_told(run: Callable[..., Any], node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = node.fetch

    def some(shell: Any, verb: str, given: str, **rest: Any) -> dict[str, Any]:
        node.fails = "exit status 3" if json.loads(given)["name"] == "files" else ""
        return fetch(shell, verb, given, **rest)

    monkeypatch.setattr(program, "fetch", some)
    result = run("backup", "--json")
    assert result.exit_code == 3
    assert [copy["data"] for copy in json.loads(result.stdout)["copies"]] == ["rows"]
    assert "files: not copied" in result.stderr


def test_restore_asks_first(run: Callable[..., Any], node: Node) -> None:
    run("backup")
    node.asked.clear()
    refused = run("restore", "rows", answer="n\n")
    assert (refused.exit_code, node.asked) == (1, [])
    assert "Later changes are lost. Continue?" in refused.stdout
    assert run("restore", "rows", answer="y\n").exit_code == 0
    assert node.given == CONTENT


def test_restore_takes_a_name_or_a_time(run: Callable[..., Any], node: Node) -> None:
    run("backup")
    name = next(copy["name"] for copy in listed(run) if copy["data"] == "rows")
    assert run("restore", "rows", "--yes", "--copy", name).exit_code == 0
    assert run("restore", "rows", "--yes", "--time", datetime.now(UTC).isoformat()).exit_code == 0
    assert run("restore", "rows", "--yes", "--time", "2020-01-01T00:00:00Z").exit_code == 1
    for words in (("--time", "2020-01-01T00:00:00"), ("--time", "now"), ("--copy", name, "--time", "2020-01-01")):
        assert run("restore", "rows", "--yes", *words).exit_code == 2
    assert run("restore", "other", "--yes").exit_code == 2
    node.fails = "the command ended with exit status 4"
    assert run("restore", "rows", "--yes").exit_code == 1


def test_prune_by_command(
    bucket: Any, run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = ruled()
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    old, new = put(of, tmp_path, 9 * DAY), put(of, tmp_path, 8 * DAY)
    assert run("prune", "--json").exit_code == 2
    planned = json.loads(run("prune", "--json", "--dry-run").stdout)["copies"]
    assert [(copy["name"], copy["data"], copy["keep"]) for copy in planned] == [
        (new.name, "rows", True),
        (old.name, "rows", False),
    ]
    assert run("prune", answer="n\n").exit_code == 1
    assert "1 removed" in run("prune", "--yes").stdout
    assert DataCatalog(Cluster(of)).copies == (new,)


def test_a_site_that_is_left_out_or_refuses_a_deletion_keeps_data(
    bucket: Any, run: Callable[..., Any], tmp_path: Path, out: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.meta.client.create_bucket(Bucket="other")
    rules = ruled().backup.retention
    of = make.settings(data=DATA, backup={**make.RAW["backup"], "second": {"bucket": "other"}})
    of = of.model_copy(update={"backup": of.backup.model_copy(update={"retention": rules})})
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    old, _ = put(of, tmp_path, 9 * DAY), put(of, tmp_path, 8 * DAY)
    for site in ("main", "second"):
        out.add(site)
        with pytest.raises(Refused, match=f"pruning data copies: the {site} site is skipped(?s:.*)code: site-skipped"):
            pruning.DATA.look(Cluster(of), make.NOW)
        out.clear()
    real = Site.delete

    def delete(site: Site, key: str) -> bool:
        if site.name == "second" and key == old.manifest_key:
            raise StoreError("deleting", "AccessDenied", remedy="allow it")
        return real(site, key)

    monkeypatch.setattr(Site, "delete", delete)
    result = run("prune", "--yes")
    assert (result.exit_code, "0 removed, 1 refused by S3" in result.stdout) == (3, True)
    result = run("prune", "--yes", "--json")
    assert (result.exit_code, json.loads(result.stdout)["copies"][1]["removed"]) == (3, False)
    assert [copy.sites for copy in DataCatalog(Cluster(of)).of("rows")] == [("main", "second"), ("second",)]


@pytest.mark.parametrize("what", ["manifest", "archive"])
@pytest.mark.parametrize(("site", "where"), [("main", "copies"), ("second", "other")])
def test_data_that_one_site_has_damaged_are_given_from_the_other(
    bucket: Any, node: Node, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, site: str, where: str, what: str
) -> None:
    bucket.meta.client.create_bucket(Bucket="other")
    of = make.settings(data=DATA, backup={**make.RAW["backup"], "second": {"bucket": "other"}})
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    assert run("backup", "rows").exit_code == 0
    (copy,) = DataCatalog(Cluster(of)).copies
    key = copy.key if what == "archive" else copy.manifest_key
    bucket.meta.client.put_object(Bucket=where, Key=key, Body=b"half")
    told = f"the {what} of {copy.name} is damaged at the {site} site (" if site == "main" else "bytes"
    for words in (("verify",), ("restore", "rows", "--yes")):
        result = run(*words)
        assert result.exit_code == 0, result.output
        assert (" ".join(result.stderr.split()).count(told) == 1) == (site == "main"), (
            "of the second site nothing was read"
        )
    assert node.given == CONTENT
    bucket.meta.client.put_object(Bucket="other" if site == "main" else "copies", Key=key, Body=b"none")
    assert run("verify").exit_code == 1
    [(_, read)] = DataCatalog(Cluster(of)).manifests()
    assert isinstance(read, DamagedCopy)


def test_data_lie_where_they_are_as_long_as_their_manifest_says(bucket: Any, tmp_path: Path) -> None:
    bucket.meta.client.create_bucket(Bucket="other")
    of = make.settings(data=DATA, backup={**make.RAW["backup"], "second": {"bucket": "other"}})
    copy = put(of, tmp_path)
    for where, left in (("", ("main", "second")), ("other", ("main",)), ("copies", ())):
        if where:
            bucket.meta.client.put_object(Bucket=where, Key=copy.key, Body=b"half")
        [(found, _)] = DataCatalog(Cluster(of)).manifests()
        assert found.sites == left


def test_without_settings_there_is_nothing_to_copy(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.console, "_settings", lambda *_: make.settings())
    assert run("backup").exit_code == 2
