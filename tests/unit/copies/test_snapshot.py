"""Archives: what is read out of good ones, and that no bad one passes."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

import pytest
from backports import zstd

from recovery.copies import contents, snapshot
from recovery.copies.manifest import FORMAT, Manifest, Proof, Verdict, drilled, from_json
from recovery.errors import DamagedCopy
from recovery.node import program
from recovery.node.engine import Engine
from recovery.node.shell import Shell
from recovery.onnode import archive as unpacked
from recovery.onnode.archive import CA, CERTIFICATE, KEY
from recovery.s3 import sealing
from recovery.swarm.key_file import UnlockKey
from recovery.swarm.wal import Position
from recovery.swarm.workload import Inventory
from tests.unit import factories as make
from tests.unit.swarm.test_key_file import key_file, unlock_key
from tests.unit.swarm.test_wal import entry, state

WAL = "swarm/raft/wal-v3-encrypted/0000000000000000-0000000000000000.wal"


NODE = make.certificate("id-manager-a", make.CLUSTER)
CONTENT = {
    CERTIFICATE: NODE,
    CA: make.ca(),
    KEY: key_file(),
    WAL: entry(2, 9) + state(2, 8) + bytes(3_000_000),
    "swarm/state.json": b"[]",
}


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", **attributes: object) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for key, value in attributes.items():
        setattr(entry, key, value)
    tar.addfile(entry, io.BytesIO(content))


def archive(path: Path, content: dict[str, bytes] = CONTENT) -> Path:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, data in content.items():
            add(tar, name, data)
    path.write_bytes(zstd.compress(plain.getvalue()))
    return path


def described(path: Path, to: Sequence[str] = (str(make.IDENTITY.to_public()),), **changes: object) -> Manifest:
    """The manifest of the archive at ``path``, which is sealed beside it."""
    found = contents.read(path, source="it")
    data = path.read_bytes()
    stored = sealing.seal(data, to)
    sealed_beside(path).write_bytes(stored)
    return make.manifest(
        files=found.files,
        archive_size=len(data),
        archive_sha256=hashlib.sha256(data).hexdigest(),
        size=len(stored),
        sha256=hashlib.sha256(stored).hexdigest(),
        position=found.position,
        **{"ca_sha256": hashlib.sha256(found.ca).hexdigest(), "ca": found.ca.decode(), **changes},
    )


def sealed_beside(path: Path) -> Path:
    return path.with_suffix(".age")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return archive(tmp_path / "copy")


def test_a_good_archive_is_read_whole(good: Path) -> None:
    found = contents.read(good, source="it")
    assert {entry.path: (entry.size, entry.sha256) for entry in found.files} == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENT.items()
    }
    assert (found.certificate, found.ca) == (NODE, make.ca())
    assert found.position == Position(2, 9, 8)
    contents.check(good, described(good), source="it")


@pytest.mark.parametrize("proof", [None, Proof(Verdict.FAILED, make.NOW, "torn"), Proof(Verdict.PROVEN, make.NOW)])
def test_a_manifest_survives_its_own_format(good: Path, proof: Proof | None) -> None:
    manifest = described(good, proof=proof, recipients=("age1", "age2"))
    assert from_json(manifest.to_json(), source="it") == manifest


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"{}", f'{{"format": {FORMAT + 1}}}'.encode(), f'{{"format": {FORMAT}}}'.encode()]
)
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(DamagedCopy, match="code: manifest-invalid"):
        from_json(text, source="it")


SAMPLES: dict[str, Any] = {
    "nothing": None, "count": 7, "fraction": 1.5, "text": "x", "flag": True, "list": [{}], "object": {"x": {}},
    "huge": 1 << 64, "negative": -1, "endless": float("inf"), "half a character": "\ud800",
}  # fmt: skip
TEXTS = "cluster_id", "node_id", "manager", "engine", "kind", "sha256", "archive_sha256", "ca_sha256", "ca"
COUNTS = "size", "archive_size", "raw_bytes", "version_index"
COMPOSED = "taken", "address", "inventory", "files", "position", "recipients"
FITTING = {
    **dict.fromkeys(TEXTS, ("text",)),
    **dict.fromkeys(COUNTS, ("count",)),
    **dict.fromkeys(COMPOSED, ()),
    "stopped_seconds": ("count", "fraction"),
    "autolock": ("flag",),
    "key_fingerprint": ("text", "nothing"),
    "ca_rotations": ("count", "nothing"),
    "proof": ("nothing",),
    "signature": ("nothing",),
}
"""Samples that the fields of a manifest may be."""


@pytest.mark.parametrize("key", FITTING)
def test_no_field_is_taken_for_what_it_is_not(key: str) -> None:
    document = make.manifest(key_fingerprint="ab", ca_rotations=1, proof=Proof(Verdict.PROVEN, make.NOW)).to_dict()
    assert document.keys() - {"format"} == FITTING.keys()
    for name, sample in SAMPLES.items():
        text = json.dumps({**document, key: sample}).encode()
        with pytest.raises(DamagedCopy) as told:
            from_json(text, source="it")
        assert told.value.code == ("copy-forged" if name in FITTING[key] else "manifest-invalid"), name


PROOF = Proof(Verdict.PROVEN, make.NOW, beyond={"configs": ("c",)}).to_dict()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("inventory", {"nodes": "abc"}),
        ("inventory", {"nodes": [{}]}),
        ("recipients", "age1"),
        ("recipients", ["age1", 1]),
        ("files", [{"path": 1, "size": 2, "sha256": "ab"}]),
        ("files", [{"path": "swarm/x", "size": 2, "sha256": "ab", "more": 1}]),
        ("position", {"term": 1, "index": 1}),
        ("position", {"term": 1, "index": 1, "commit": None}),
        ("taken", "0001-01-01T00:00:00+23:00"),
        ("taken", "2026-01-02T03:04:05"),
        ("proof", {**PROOF, "verdict": "good"}),
        ("proof", {**PROOF, "seconds": "2"}),
        ("proof", {**PROOF, "detail": {}}),
        ("proof", {**PROOF, "beyond": {"configs": "abc"}}),
        ("proof", {**PROOF, "beyond": {"configs": [[]]}}),
    ],
    ids=str,
)
def test_nothing_within_a_field_is_taken_for_what_it_is_not(key: str, value: Any) -> None:
    document = make.manifest().to_dict()
    with pytest.raises(DamagedCopy, match="code: manifest-invalid"):
        from_json(json.dumps({**document, key: value}).encode(), source="it")
    if key == "proof":
        assert drilled(json.loads(json.dumps({"proof": PROOF})))
        assert drilled(json.loads(json.dumps({"proof": value}))) is None


@pytest.mark.parametrize("kept", [0, 1, 10, 50, 99])
def test_a_truncated_archive_is_never_read(good: Path, kept: int) -> None:
    data = good.read_bytes()
    good.write_bytes(data[: len(data) * kept // 100])
    with pytest.raises(DamagedCopy):
        contents.read(good, source="it")


def test_any_flipped_byte_is_noticed(good: Path) -> None:
    manifest, data = described(good), good.read_bytes()
    for position in range(0, len(data), 7):
        good.write_bytes(data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
        with pytest.raises(DamagedCopy):
            contents.check(good, manifest, source="it")


def test_an_archive_of_another_manager_is_noticed(tmp_path: Path, good: Path) -> None:
    other = archive(tmp_path / "other", {**CONTENT, CERTIFICATE: make.certificate("id-manager-b", make.CLUSTER)})
    with pytest.raises(DamagedCopy, match="another node"):
        contents.check(other, described(other), source="it")
    with pytest.raises(DamagedCopy):
        contents.check(other, described(good), source="it")


@pytest.mark.parametrize("missing", [CERTIFICATE, CA, WAL])
def test_an_archive_without_what_a_manager_needs_is_refused(tmp_path: Path, missing: str) -> None:
    content = {name: data for name, data in CONTENT.items() if name != missing}
    with pytest.raises(DamagedCopy, match="missing"):
        contents.read(archive(tmp_path / "copy", content), source="it")


def test_an_archive_that_unpacks_to_too_much_is_refused(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacked, "LARGEST", 2000)
    with pytest.raises(DamagedCopy, match="more than 2000 bytes"):
        contents.read(good, source="it")


INVENTORY = Inventory({"nodes": frozenset({"n"}), "configs": frozenset({"c1", "c2"})}, 7)
CAME_UP: dict[str, Any] = {
    "cluster_id": make.CLUSTER,
    "node_id": "id-manager-a",
    "engine": "20.10.24",
    "seconds": 2.0,
    "recovery_seconds": 1.0,
    "version_index": 9,
    "inventory": {"nodes": ["n"], "configs": ["c1", "c2", "c3"]},
}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, ""),
        ({"inventory": {"nodes": ["n"], "configs": ["c1", "c3"]}}, "the restored swarm lacks configs c2"),
        ({"version_index": 6}, "its newest change has version 6, and the swarm had version 7"),
        ({"cluster_id": "other"}, "swarm other came up"),
        ({"node_id": "other"}, "as node other"),
    ],
)
def test_a_proof_tells_what_came_up_and_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], fault: str
) -> None:
    """With what it adds to the inventory, whether the copy is a prefix of the swarm's changes can be told."""
    monkeypatch.setattr(program, "run", lambda *_, **__: {**CAME_UP, **changes})
    manifest = make.manifest(inventory=INVENTORY)
    proof = snapshot.prove(cast("Shell", None), PurePosixPath("/copy"), manifest, b"", make.NOW)
    assert proof.verdict is (Verdict.FAILED if fault else Verdict.PROVEN)
    assert fault in proof.detail
    assert proof.beyond == {"configs": ("c3",)}
    made = make.manifest(inventory=INVENTORY, proof=proof)
    assert from_json(made.to_json(), source="it").proof == proof


@pytest.mark.parametrize(
    ("commit", "fault"),
    [
        (8, ""),
        (7, "its log is committed up to entry 7, and the swarm's newest change has version 7, which comes later"),
    ],
)
def test_the_log_of_a_copy_is_committed_beyond_the_newest_version(commit: int, fault: str) -> None:
    assert snapshot.compare(make.manifest(inventory=INVENTORY, position=Position(2, 9, commit)), CAME_UP) == fault


class CopiedNode:
    """A node on which copies are taken, each with the next of ``commits`` as the end of its log."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, commits: list[int], key: UnlockKey | None = None) -> None:
        self.left, self.done = list(commits), list[str]()
        self.shell = cast("Shell", SimpleNamespace(node=make.settings().managers[0]))
        swarm = {"NodeID": "id-manager-a", "Cluster": {"ID": make.CLUSTER}}
        self.before = snapshot.Before(
            cast("Engine", self),
            {"Swarm": swarm, "ServerVersion": "28.0.0"},
            Inventory({"nodes": frozenset("ab")}, 7),
            key,
            3,
        )
        monkeypatch.setattr(program, "run", self.run)
        monkeypatch.setattr(program, "clear", lambda *_: self.done.append("removed"))
        monkeypatch.setattr(snapshot, "Engine", lambda _: self)
        monkeypatch.setattr(snapshot, "sleep", lambda _: None)

    def settle(self) -> None:
        self.done.append("settled")

    def inventory(self) -> Inventory:
        return Inventory({"nodes": frozenset("bc")}, 9)

    def run(self, _: Shell, verb: str, root: str, how: str) -> dict[str, Any]:
        assert (verb, root) == ("take", "/var/lib/docker")
        self.done.append(how)
        taken = {
            "size": 1,
            "sha256": "",
            "raw_bytes": 1,
            "stopped_seconds": 0.0,
            "ca_sha256": "",
            "ca": "",
            "files": [],
        }
        return {
            **taken,
            "folder": "/copy",
            "certificate": NODE.decode(),
            "position": [2, 9, self.left.pop(0)],
            "locked_key": None,
        }

    def back(self, key: UnlockKey | None) -> None:
        self.done.append(f"back with {key.fingerprint}" if key else "back")


@pytest.mark.parametrize(
    ("commits", "given"),
    [([8], 8), ([7, 8], 8), ([5, 6, 7], 7)],
    ids=["beyond it", "a moment later", "never"],
)
def test_a_hot_copy_is_taken_again_while_its_log_ends_before_what_it_is_to_hold(
    monkeypatch: pytest.MonkeyPatch, commits: list[int], given: int
) -> None:
    node = CopiedNode(monkeypatch, commits)
    with snapshot.hot(node.shell, node.before) as copy:
        assert copy.manifest.position.commit == given
        assert (copy.manifest.kind, copy.manifest.engine) == ("hot", "28.0.0")
        assert copy.manifest.inventory == Inventory({"nodes": frozenset("b")}, 7), "before and after it"
    assert node.done == ["settled", "hot", "removed"] * len(commits)
    assert not node.left


def test_no_engine_is_stopped_twice_for_a_cold_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    node = CopiedNode(monkeypatch, [7], unlock_key())
    with snapshot.cold(node.shell, node.before, node.back) as copy:
        assert copy.manifest.kind == "cold"
        assert copy.manifest.key_fingerprint == unlock_key().fingerprint
        node.done.append("used")
    assert node.done == ["settled", "cold", f"back with {unlock_key().fingerprint}", "used", "removed"]


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError])
def test_an_engine_is_brought_back_when_its_copy_failed_or_was_interrupted(
    monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    node = CopiedNode(monkeypatch, [])

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(program, "run", fail)
    with pytest.raises(fault), snapshot.cold(node.shell, node.before, node.back):
        pytest.fail("there is no copy")
    assert node.done == ["settled", "back"]


def test_a_copy_is_removed_from_a_node_whose_engine_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    node = CopiedNode(monkeypatch, [8])

    def back(_: UnlockKey | None) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError), snapshot.cold(node.shell, node.before, back):
        pytest.fail("the manager is not back")
    assert node.done == ["settled", "cold", "removed"]


@pytest.mark.parametrize(
    ("swarm", "fault"),
    [
        ({"NodeID": "id-manager-b", "Cluster": {"ID": make.CLUSTER}}, "copy-damaged"),
        ({"NodeID": "id-manager-a", "Cluster": {"ID": "other"}}, "copy-damaged"),
    ],
)
def test_a_copy_of_another_node_is_refused_and_removed(
    monkeypatch: pytest.MonkeyPatch, swarm: dict[str, Any], fault: str
) -> None:
    node = CopiedNode(monkeypatch, [8])
    before = replace(node.before, info={**node.before.info, "Swarm": swarm})
    with pytest.raises(DamagedCopy, match=f"code: {fault}"), snapshot.hot(node.shell, before):
        pytest.fail("it is of another node")
    assert node.done == ["settled", "hot", "removed"]
