"""A drill fetches, opens and restores a copy as in a disaster, in a sandbox on a node, and stores the result in S3.

The node is the copy's own manager, or another manager that answers and whose engine is not older than the copy's. A
worker gets a copy only if the operator names it: the opened copy has the CA key of the swarm. The sandbox has the
manager's original address in its own network, so it disturbs nothing. The result is signed by the operator, and stored next to
the copy at every site. If a drill reaches no verdict about the copy, the copy's earlier verdict stays.

The last drill of each manager is also stored as ``PREFIX/CLUSTER/drills/MANAGER.json``, with any verdict, and also
after the copy is removed: monitoring reads it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import Any

from recovery.cluster import Cluster
from recovery.copies import contents, snapshot
from recovery.copies.catalog import Catalog
from recovery.copies.choice import usable
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Manifest, Proof, Verdict
from recovery.errors import DamagedCopy, NoUnlockKey, Refused, TransportError, UnopenedCopy, UnreadCopy
from recovery.node import program
from recovery.node.signing import Kind
from recovery.node.ssh import Shell
from recovery.onnode import copying
from recovery.s3.store import Store
from recovery.survey.nodes import stable_survey
from recovery.swarm.engine_version import is_older
from recovery.swarm.key_file import unlock
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Reach, Survey


@dataclass(frozen=True)
class Drill:
    """The result of restoring one copy."""

    copy: Copy
    node: str
    """The node that ran the sandbox."""
    proof: Proof
    rto: float
    """Seconds from asking S3 for the copy until a swarm answers: the time that a restore would take."""
    rpo: float
    """Seconds between the copy and the drill: a restore would lose the changes of this time."""


def drill(
    cluster: Cluster, catalog: Catalog, copies: Sequence[Copy], *, on: Node | None, say: Callable[[str], None]
) -> Iterator[Drill]:
    """Restore each copy in turn, ``on`` a node or on the best manager that answers, and store the result in S3.

    At the end it reports a site that did not store a result.

    Raises: Refused if no manager answers, or not the node; StoreError; SettingError.
    """
    cluster.operators.require()
    seen = stable_survey(cluster)
    catalog.trust(seen.told_cas)
    if on and on.role == "worker":
        say(
            f"{on.name} is a worker. It gets the opened copies with the swarm's CA key, which only managers have otherwise"
        )
    for copy in copies:
        maker = _maker(catalog, copy)
        owner = catalog.owner(copy)
        where = _where(seen, copy, maker, on, owner)
        now, start = datetime.now(UTC), monotonic()
        if is_older(where.engine, maker):
            why = (
                f"the engine of {where.node.name} ({where.engine}) is older than the copy's engine ({maker}). "
                "It may not be able to read the copy"
            )
            proof = Proof(Verdict.UNPROVEN, now, why)
        else:
            say(f"restoring {copy.name} in a sandbox on {where.node.name}")
            proof = _restored(cluster, catalog, copy, where.node, now)
        result = Drill(copy, where.node.name, proof, round(monotonic() - start, 3), (now - copy.dated).total_seconds())
        if proof.verdict is not Verdict.UNPROVEN:
            _keep(cluster, catalog.store, copy.drill_key, result)
        _keep(cluster, catalog.store, cluster.settings.keys.drill(owner), result)
        yield result
    for note in catalog.store.notes:
        say(note)


def as_document(drill: Drill) -> dict[str, Any]:
    """The result as it is stored. `recovery.copies.drilled` reads the proof in it."""
    times = {"rto": drill.rto, "rpo": drill.rpo}
    return {"copy": drill.copy.name, "node": drill.node, **times, "proof": drill.proof.to_dict()}


def _keep(cluster: Cluster, store: Store, key: str, drill: Drill) -> None:
    signed = cluster.operators.sign(Kind.DRILL, key, as_document(drill))
    store.everywhere(lambda site: site.put(key, signed))


def _restored(cluster: Cluster, catalog: Catalog, copy: Copy, node: Node, now: datetime) -> Proof:
    """The proof of restoring a copy. If it cannot be opened here, or sent to the node, it is unproven and not failed.

    So it is if its only site does not answer now.
    """
    try:
        with usable(catalog, Escrow(cluster.settings, catalog.store), copy) as (manifest, archive, key):
            opened = unlock(contents.key_file(archive, source=copy.name), key) if key else b""
            if manifest.strange:
                return Proof(Verdict.UNPROVEN, now, "its CA is not the swarm's, so no node gets it")
            with cluster.shell(node) as shell, _received(shell, archive, manifest) as there:
                return snapshot.prove(shell, there, manifest, opened, now)
    except (UnopenedCopy, UnreadCopy, NoUnlockKey, TransportError) as error:
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
    """The version of the engine that made the copy."""
    try:
        return catalog.manifest(copy).engine
    except DamagedCopy:
        return snapshot.UNKNOWN_ENGINE


def _where(seen: Survey, copy: Copy, maker: str, on: Node | None, owner: str) -> NodeReport:
    """The node for the sandbox: ``on``, or the first that answers of the copy's ``owner`` and the other managers.

    Nodes whose engine is older than the copy's ``maker`` come last. Raises: Refused if none answers.
    """
    chosen = [report for report in seen.reports if report.node == on] if on else seen.managers
    there = [report for report in chosen if report.reach is Reach.ANSWERS]
    if not there:
        why = f"{on.name} does not answer" if on else "no manager answers, and a worker gets a copy only if you name it"
        raise Refused(f"drilling {copy.name}", why, remedy="requorum status", code="node-unreachable")

    def rank(report: NodeReport) -> tuple[bool, bool, str]:
        node = report.node
        return is_older(report.engine, maker), node.name != owner, node.name

    return min(there, key=rank)
