"""Copies of data in a bucket, and a node that takes and gives them."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Self

from backports import zstd

from recovery.cluster import Cluster
from recovery.data.catalog import DataCatalog, DataCopy
from recovery.data.manifest import DataManifest
from recovery.errors import CommandFailed
from recovery.node import program
from recovery.operations import prune as pruning
from recovery.s3 import sealing
from recovery.s3.sealing import Identities
from recovery.settings import Settings
from tests.unit import factories as make

DUMP, LOAD = ["dump", "--all"], ["load"]
DATA = {
    "rows": {"service": "db", "backup": DUMP, "restore": LOAD},
    "files": {"service": "web", "volume": "web_files"},
}
CONTENT = b"one\ntwo\n" + bytes(5_000_000) + os.urandom(100_000)
RECIPIENT = str(make.IDENTITY.to_public())
DAY = timedelta(days=1)
S = make.settings(data=DATA)
W1, W2 = S.workers


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


IDENTITIES = Identities(S.backup.identity_file, setting="backup.identityFile")
PACKED = zstd.compress(CONTENT)


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


def ruled(**counts: Any) -> Settings:
    rules = {"last": 1, "hourly": 0, "daily": 0, "weekly": 0, "monthly": 0, "minimum": 1, "graceHours": 1, **counts}
    return make.settings(data=DATA, backup={**make.RAW["backup"], "retention": rules})


def listed(run: Callable[..., Any]) -> Sequence[dict[str, Any]]:
    copies: Sequence[dict[str, Any]] = json.loads(run("list", "--json").stdout)["copies"]
    return copies


def prune(of: Settings) -> list[DataCopy]:
    done = pruning.DATA.prune(Cluster(of), pruning.DATA.look(Cluster(of), make.NOW), make.NOW, say=print)
    assert not [removal.error for removal in done if removal.error]
    return [removal.decision.copy for removal in done]


def keys(bucket: Any) -> set[str]:
    return {entry.key for entry in bucket.objects.all() if not entry.key.endswith("lease.json")}
