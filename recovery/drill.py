"""A drill: a copy fetched, opened and restored as in a disaster, in a sandbox on a node; the result is kept beside the copy.

The node is the copy's own manager, or any other that answers: the sandbox has the manager's original address in a
network of its own, so nothing that lives is disturbed, and it does not matter where it stands.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from time import monotonic

from recovery import contents, program, snapshot
from recovery.catalog import Catalog, usable
from recovery.copy import Copy
from recovery.errors import DamagedCopy, NoUnlockKey, Refused
from recovery.escrow import Escrow
from recovery.keyfile import unlock
from recovery.manifest import Manifest, Proof, Verdict
from recovery.model import Reach, Survey
from recovery.onnode import copying
from recovery.settings import Node, Settings
from recovery.survey import survey
from recovery.transport import Shell


@dataclass(frozen=True)
class Drill:
    """What came of restoring one copy."""

    copy: Copy
    node: str
    """Where the sandbox stood."""
    proof: Proof
    rto: float
    """Seconds from the listing of the copies to a swarm that answers, as a restore of it would take."""
    rpo: float
    """Seconds between the copy and the drill: changes of that time would be lost."""


def drill(
    settings: Settings, catalog: Catalog, copies: Sequence[Copy], *, on: Node | None, say: Callable[[str], None]
) -> Iterator[Drill]:
    """Restore each copy in turn, ``on`` a node or on the best that answers; each result is kept in S3.

    Raises: Refused when no node answers; StoreError; SettingError; TransportError.
    """
    seen = survey(settings)
    for copy in copies:
        node = on or _where(seen, copy)
        say(f"restoring {copy.name} in a sandbox on {node.name}")
        result = _drill(settings, catalog, copy, node)
        catalog.store.put(copy.drill_key, as_json(result))
        yield result


def as_json(drill: Drill) -> bytes:
    """The result as it is stored; `recovery.manifest.drilled` reads the proof in it."""
    times = {"rto": drill.rto, "rpo": drill.rpo}
    document = {"copy": drill.copy.name, "node": drill.node, **times, "proof": drill.proof.to_dict()}
    return json.dumps(document, indent=1, sort_keys=True).encode()


def _drill(settings: Settings, catalog: Catalog, copy: Copy, node: Node) -> Drill:
    now, start = datetime.now(UTC), monotonic()
    try:
        with usable(catalog, Escrow(settings, catalog.store), copy) as (manifest, archive, key):
            opened = unlock(contents.key_file(archive, source=copy.name), key) if key else b""
            with Shell(node, settings.ssh) as shell, _received(shell, archive, manifest) as there:
                proof = snapshot.prove(shell, there, manifest, opened, now)
    except (DamagedCopy, NoUnlockKey) as error:
        proof = Proof(Verdict.FAILED, now, error.why)
    return Drill(copy, node.name, proof, round(monotonic() - start, 3), (now - copy.dated).total_seconds())


@contextmanager
def _received(shell: Shell, archive: Path, manifest: Manifest) -> Iterator[PurePosixPath]:
    found = program.run(shell, "receive", manifest.archive_sha256, stdin=archive.read_bytes())
    try:
        yield PurePosixPath(found["folder"]) / copying.ARCHIVE
    finally:
        program.clear(shell, found["folder"])


def _where(seen: Survey, copy: Copy) -> Node:
    """The copy's own manager, another manager, a worker: the first that answers."""
    there = [report.node for report in seen.reports if report.reach is Reach.ANSWERS]
    ordered = sorted(there, key=lambda node: (node.name != copy.manager, node.role != "manager", node.name))
    if not ordered:
        raise Refused(f"a drill of {copy.name}", "no node answers", remedy="requorum status")
    return ordered[0]
