"""A copy of data as bytes: its manifest, and what is damaged."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from recovery.data import stream
from recovery.data.manifest import FORMAT, from_document
from recovery.errors import DamagedCopy
from tests.unit.data.stored import CONTENT, IDENTITIES, PACKED, manifest, sealed_at


@pytest.mark.parametrize("changes", [{}, {"command": (), "volume": "v", "changed": True}], ids=["command", "volume"])
def test_a_manifest_survives_its_own_format(changes: dict[str, Any]) -> None:
    made = manifest(**changes)
    assert from_document(json.loads(json.dumps(made.to_document())), source="it") == made


BAD = {"volume": "v"}, {"command": []}, {"taken": "2026-01-01T00:00:00"}, {"format": FORMAT + 1}, {"stranger": 1}


@pytest.mark.parametrize("document", [{}, *({**manifest().to_document(), **bad} for bad in BAD)])
def test_what_is_no_manifest_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(DamagedCopy, match=r"code: copy-damaged$"):
        from_document(document, source="it")


def test_a_good_copy_is_good(tmp_path: Path) -> None:
    made = sealed_at(tmp_path / "copy")
    stream.check(tmp_path / "copy", made, IDENTITIES, source="it")


DAMAGE: list[tuple[str, dict[str, Any]]] = [
    ("unpacks to less", {"packed": zstd.compress(CONTENT[:-1])}),
    ("altered", {"packed": zstd.compress(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))}),
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
    ("change", "why"), [(lambda b: b[:-1], "bytes, its manifest"), (lambda b: b[:-1] + bytes([b[-1] ^ 1]), "SHA-256")]
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
