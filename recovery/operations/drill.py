"""A drill: a copy fetched, opened and restored as in a disaster, in a sandbox on a node; the result is kept beside the copy,
at every site.

The node is the copy's own manager, or any other that answers and whose engine is no older than the copy's: the sandbox
has the manager's original address in a network of its own, so nothing that lives is disturbed, and it does not matter
where it stands. A drill that says nothing about the copy is not kept beside it: what was known of the copy stays.

The last one of each manager is kept as ``PREFIX/CLUSTER/drills/MANAGER.json`` too, whatever it says and whatever becomes of
the copy: monitors ask for it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from time import monotonic

from recovery.copies import contents, snapshot
from recovery.copies.catalog import Catalog
from recovery.copies.choice import usable
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Manifest, Proof, Verdict, drilled
from recovery.errors import DamagedCopy, NoUnlockKey, Refused, TransportError, UnopenedCopy
from recovery.node import program
from recovery.node.ssh import Shell
from recovery.onnode import copying
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.survey.nodes import survey
from recovery.swarm.engine_version import is_older
from recovery.swarm.key_file import unlock
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Reach, Survey


@dataclass(frozen=True)
class Drill:
    """What came of restoring one copy."""

    copy: Copy
    node: str
    """Where the sandbox stood."""
    proof: Proof
    rto: float
    """Seconds from asking S3 for the copy to a swarm that answers, as a restore of it would take."""
    rpo: float
    """Seconds between the copy and the drill: changes of that time would be lost."""


def drill(
    settings: Settings, catalog: Catalog, copies: Sequence[Copy], *, on: Node | None, say: Callable[[str], None]
) -> Iterator[Drill]:
    """Restore each copy in turn, ``on`` a node or on the best that answers; what it says about the copy is kept in S3.
    A site that does not take that is told at the end.

    Raises: Refused when no node answers; StoreError; SettingError.
    """
    seen = survey(settings)
    for copy in copies:
        maker = _maker(catalog, copy)
        where = _where(seen, copy, maker, on)
        now, start = datetime.now(UTC), monotonic()
        if is_older(where.engine, maker):
            why = f"the engine of {where.node.name} ({where.engine}) is older than the copy's ({maker}) and may not read it"
            proof = Proof(Verdict.UNPROVEN, now, why)
        else:
            say(f"restoring {copy.name} in a sandbox on {where.node.name}")
            proof = _restored(settings, catalog, copy, where.node, now)
        result = Drill(copy, where.node.name, proof, round(monotonic() - start, 3), (now - copy.dated).total_seconds())
        if proof.verdict is not Verdict.UNPROVEN:
            _keep(catalog.store, copy.drill_key, result)
        _keep(catalog.store, settings.keys.drill(copy.manager), result)
        yield result
    for note in catalog.store.notes:
        say(note)


def last(settings: Settings, store: Store) -> dict[str, Proof]:
    """What came of the last drill of each manager that there was one of, by the manager's name. Raises: StoreError."""
    keys = {node.name: settings.keys.drill(node.name) for node in settings.managers}
    places = store.listed(settings.keys.drills)
    held = {name: store.looks(key, places.get(key, ())) for name, key in keys.items()}
    results = {name: drilled(content for _, content in texts) for name, texts in held.items()}
    return {name: proof for name, proof in results.items() if proof}


def as_json(drill: Drill) -> bytes:
    """The result as it is stored; `recovery.copies.manifest.drilled` reads the proof in it."""
    times = {"rto": drill.rto, "rpo": drill.rpo}
    document = {"copy": drill.copy.name, "node": drill.node, **times, "proof": drill.proof.to_dict()}
    return json.dumps(document, indent=1, sort_keys=True).encode()


def _keep(store: Store, key: str, drill: Drill) -> None:
    store.everywhere(lambda site: site.put(key, as_json(drill)))


def _restored(settings: Settings, catalog: Catalog, copy: Copy, node: Node, now: datetime) -> Proof:
    """What comes of the copy; what cannot be opened here, or brought to the node, is unproven and no worse for it."""
    try:
        with usable(catalog, Escrow(settings, catalog.store), copy) as (manifest, archive, key):
            opened = unlock(contents.key_file(archive, source=copy.name), key) if key else b""
            with Shell(node, settings.ssh) as shell, _received(shell, archive, manifest) as there:
                return snapshot.prove(shell, there, manifest, opened, now)
    except (UnopenedCopy, NoUnlockKey, TransportError) as error:
        return Proof(Verdict.UNPROVEN, now, error.why)
    except DamagedCopy as error:
        return Proof(Verdict.FAILED, now, error.why)


@contextmanager
def _received(shell: Shell, archive: Path, manifest: Manifest) -> Iterator[PurePosixPath]:
    found = program.run(shell, "receive", manifest.archive_sha256, stdin=archive.read_bytes())
    try:
        yield PurePosixPath(found["folder"]) / copying.ARCHIVE
    finally:
        program.clear(shell, found["folder"])


def _maker(catalog: Catalog, copy: Copy) -> str:
    """The version of the engine that the copy was made by."""
    try:
        return catalog.manifest(copy).engine
    except DamagedCopy:
        return snapshot.UNKNOWN_ENGINE


def _where(seen: Survey, copy: Copy, maker: str, on: Node | None) -> NodeReport:
    """``on``, or the copy's own manager, another manager, a worker: the first that answers, with an engine that is not
    older than its ``maker`` where there is one.
    """
    there = [report for report in seen.reports if report.reach is Reach.ANSWERS and on in (None, report.node)]
    if not there:
        why = f"{on.name} does not answer" if on else "no node answers"
        raise Refused(f"a drill of {copy.name}", why, remedy="requorum status")

    def rank(report: NodeReport) -> tuple[bool, bool, bool, str]:
        node = report.node
        return is_older(report.engine, maker), node.name != copy.manager, node.role != "manager", node.name

    return min(there, key=rank)
