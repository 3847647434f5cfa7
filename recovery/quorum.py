"""Gives the cluster a quorum: adopts the one there is, founds the first, or restores one from a copy.

The two that make a swarm, `found` and `restore`, are guarded by promise 1: never while any
known manager address answers with a leader, and never beside copies that are not restored from.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic, sleep

from recovery import autolock, backup, journal, membership, moves, operators, survivors, votes
from recovery import restore as files
from recovery.assessment import known_id
from recovery.catalog import Catalog, Choice, usable
from recovery.detour import detour
from recovery.diagnosis import Diagnosis, Kind, diagnose
from recovery.engine import Engine
from recovery.errors import ProofFailed, Refused
from recovery.escrow import Escrow
from recovery.manifest import Manifest
from recovery.model import Reach, Report, Survey
from recovery.plan import outdated, refusal_of
from recovery.proof import compare
from recovery.settings import Node, Settings
from recovery.steps import Action
from recovery.survey import ask, settled, survey
from recovery.survivors import Survivor
from recovery.transport import Shell
from recovery.zones import quorum

LOOK_AGAIN_SECONDS = 10.0
"""For managers that were lost a moment ago, and do not answer at once, to say that they still are."""
PAUSE = 0.5
Say = Callable[[str], None]
"""Tells the operator what is being done, a line at a time."""


@dataclass(frozen=True)
class Quorum:
    """A working quorum: the swarm's ID and CA, and whether it had to be made again."""

    cluster_id: str
    ca_sha256: str
    """Of its CA's certificate."""
    remade: bool = False


def establish(
    settings: Settings,
    *,
    copy: str | None = None,
    ca: str | None = None,
    survivor: str | None = None,
    known: str | None = None,
    say: Say,
) -> Quorum:
    """Make sure that the cluster has a quorum.

    ``copy`` names the copy to restore from, whose CA is to be ``ca`` where that is given, or ``survivor`` the manager to
    force a new cluster from, as the plan that the operator saw names them; without either nothing is restored or forced,
    and before either agents pause until `hooks.conclude`. ``known`` is the cluster's ID where it was built before: then
    none is founded. Safe to run again after any interruption.

    Raises: Refused when neither adopting, founding nor restoring is safe, or somebody else is at it; ProofFailed; StoreError.
    """
    with operators.alone(settings, "giving a quorum", say=say):
        return _establish(settings, copy, ca, survivor, known, say)


def dissolve(settings: Settings, cluster_id: str, *, say: Say) -> None:
    """End the swarm: every node that still answers and belongs to it leaves. Dead ones are not waited for.

    Raises: Refused when somebody else is at it; TransportError, EngineError, StoreError.
    """
    with operators.alone(settings, "ending the swarm", say=say):
        for report in survey(settings).reports:
            if report.in_swarm and report.cluster_id == cluster_id:
                with Shell(report.node, settings.ssh) as shell:
                    Engine(shell).leave()


def _establish(
    settings: Settings, copy: str | None, ca: str | None, survivor: str | None, known: str | None, say: Say
) -> Quorum:
    catalog = Catalog(settings)
    seen = settled(settings, nodes=settings.managers)
    copied = known_id(settings, catalog)
    if known and copied not in (None, known, settings.cluster_id):
        raise Refused(
            f"giving cluster {settings.cluster} a quorum",
            f"it was built as swarm {known}, and the copies in S3 are of swarm {copied}",
            remedy="correct requorum:backup, or set requorum:clusterId to the one that is meant",
        )
    known = copied or known
    diagnosis = diagnose(seen, known, cluster=settings.cluster, copies=bool(catalog.copies))
    if diagnosis.kind is Kind.LOCKED:
        _unlock(settings, diagnosis.locked, say)
        seen = settled(settings, nodes=settings.managers)
        diagnosis = diagnose(seen, known, cluster=settings.cluster, copies=bool(catalog.copies))
    if leader := seen.leader:
        if diagnosis.kind in (Kind.FORKED, Kind.FOREIGN):
            raise _refused(diagnosis, settings)
        return _adopt(settings, catalog, seen, leader, say)
    if diagnosis.kind is Kind.ABSENT:
        return _found(settings, say)
    if diagnosis.kind is Kind.ALL_LOST and copy:
        operators.pause_agents(settings, say=say)
        return _restore(settings, catalog, seen, copy, ca, say)
    if diagnosis.kind is Kind.QUORUM_LOST and survivor and not diagnosis.silent:
        operators.pause_agents(settings, say=say)
        before = seen.of(survivor)
        made = _force(settings, catalog, seen, before, survivors.look(settings, seen), say)
        membership.dismiss(settings, seen, before.node, say=say)
        return made
    raise _refused(diagnosis, settings)


def _adopt(settings: Settings, catalog: Catalog, seen: Survey, leader: Report, say: Say) -> Quorum:
    """Take the swarm as it is; where a restore was interrupted before its proof, make up for that first."""
    with Shell(leader.node, settings.ssh) as shell:
        engine = Engine(shell)
        if leader.placed:
            say(f"proving what an interrupted restore made on {leader.node.name}")
            with journal.step(settings, Action.RESTORE, leader.node.name, say):
                backup.take_safety(settings, shell)  # it is left where it differs, and may have been written to since
                _prove_seed(shell, engine, catalog.manifest(catalog.named(leader.placed)), leader.node)
        engine.set_options(settings.swarm)
        autolock.lock_again(settings, shell, engine, say=say)
    _readdress(settings, seen, say)
    return Quorum(leader.cluster_id, leader.ca_sha256, remade=bool(leader.placed))


def _found(settings: Settings, say: Say) -> Quorum:
    first = settings.managers[0]
    say(f"founding the swarm on {first.name} ({first.address})")
    with journal.step(settings, Action.FOUND, first.name, say), Shell(first, settings.ssh) as shell:
        engine = Engine(shell)
        engine.init(settings.swarm)
        autolock.keep_key(settings, engine)
        made = ask(shell)
        return Quorum(made.cluster_id, made.ca_sha256)


def _restore(settings: Settings, catalog: Catalog, seen: Survey, name: str, ca: str | None, say: Say) -> Quorum:
    chosen = catalog.named(name)
    with usable(catalog, Escrow(settings, catalog.store), chosen) as (manifest, archive, key):
        if ca and manifest.ca_sha256 != ca:
            raise Refused(
                f"restoring {name}", "its CA is not the one that the plan was made for", remedy="run the preview again"
            )
        seed = settings.node(manifest.manager)
        moved = moves.since_copied(settings, catalog, manifest.cluster_id, manifest)
        start = monotonic()
        say(f"restoring {name} on {seed.name} ({seed.address})")
        with journal.step(settings, Action.RESTORE, seed.name, say), Shell(seed, settings.ssh) as shell:
            engine = Engine(shell)
            if fault := outdated(engine.info()["ServerVersion"], Choice(chosen, manifest), settings):
                raise Refused(f"restoring {name}", fault.why, remedy=fault.remedy, node=seed.name)
            files.place(shell, engine, archive, manifest, files.WHOLE, key=key, mark=name)
            moves.require_vacated(settings, moved, manifest.cluster_id)
            _require_still(settings, seen, f"restoring {name}")
            say(f"forcing a new cluster on {seed.name}")
            engine.force_new_cluster()
            _prove_seed(shell, engine, manifest, seed)
            autolock.lock_again(settings, shell, engine, say=say)
        say(f"quorum back on {seed.name}: swarm {manifest.cluster_id}, {monotonic() - start:.1f} s")
    if moved:
        _readdress(settings, settled(settings, nodes=settings.managers), say)
    return Quorum(manifest.cluster_id, manifest.ca_sha256, remade=True)


def _readdress(settings: Settings, seen: Survey, say: Say) -> None:
    """Have the log take up where a new cluster was forced elsewhere: with the first other manager there is, which joins by a detour."""
    for name, entry in seen.misplaced.items():
        node = settings.node(name)
        others = [
            r.node
            for r in seen.managers
            if r.node != node and (r.in_swarm or r.known_lost) and r.reach is Reach.ANSWERS
        ]
        if not others:
            raise Refused(
                f"moving {name} to {node.address}",
                "no other manager answers, and only beside another one it can be given its vote anew",
                remedy="have the machine of another manager up, in no swarm; then run the same command again",
                node=name,
            )
        with Shell(others[0], settings.ssh) as shell:
            detour(shell, {entry.raft_address: node.address})
        membership.ensure(settings, others[0], say=say)
        votes.readdress(settings, node, others[0], say=say)


def _require_still(settings: Settings, seen: Survey, doing: str) -> None:
    """Right before a new cluster is forced, make sure that what was ``seen`` still is so: copies may have taken minutes.

    Who was known to be lost is asked again, and survivors where they are enough for a leader; fewer never have one.
    Raises: Refused, also when somebody took the lease over.
    """
    operators.require_alone(settings, doing)
    many = sum(report.holds_raft for report in seen.managers) >= quorum(len(settings.managers))
    lost = [report.node.name for report in seen.managers if report.known_lost]
    asked = [node for node in settings.managers if many or node.name in lost]
    end = monotonic() + LOOK_AGAIN_SECONDS
    while True:
        now = survey(settings, nodes=asked)
        back = [f"{r.node.name} ({r.reach})" for r in now.managers if r.node.name in lost and not r.known_lost]
        if now.leader is None and not back:
            return
        if now.leader or monotonic() > end:
            why = "the swarm has a leader again" if now.leader else f"no longer known to be lost: {', '.join(back)}"
            raise Refused(doing, f"while it was prepared things changed: {why}", remedy="requorum plan; then run again")
        sleep(PAUSE)


def _force(
    settings: Settings, catalog: Catalog, seen: Survey, before: Report, ranked: Sequence[Survivor], say: Say
) -> Quorum:
    """Force from the survivor that was chosen, of which ``before`` tells. One that a restore left unproven is proven then.

    Its engine is not asked once more: while it has lost its leader a moment ago, it answers such a question only
    after 20 s, and takes up nothing else before.
    """
    name = before.node.name
    if not ranked or ranked[0].name != name:
        best = ranked[0].text if ranked else "nobody"
        raise Refused(f"forcing a new cluster from {name}", f"now {best} holds most", remedy="run the preview again")
    _save(settings, ranked, say)
    node = settings.node(name)
    autolock.open_offline(settings, before, say=say)
    with journal.step(settings, Action.FORCE, name, say), Shell(node, settings.ssh) as shell:
        engine = Engine(shell)
        _require_still(settings, seen, f"forcing a new cluster from {name}")
        say(f"forcing a new cluster on {name}")
        start = monotonic()
        engine.force_new_cluster()
        after = engine.info()["Swarm"]
        if (after["NodeID"], after["Cluster"]["ID"]) != (before.node_id, before.cluster_id):
            engine.leave()
            raise ProofFailed(
                "forcing a new cluster",
                f"swarm {after['Cluster']['ID']} came up with node {after['NodeID']}, not {before.cluster_id} with "
                f"{before.node_id}; it was left again, and the log is in the safety copy (docs/runbooks/quorum-lost.md)",
                remedy="requorum plan, which goes on without this manager's log",
                node=name,
            )
        engine.inventory()
        if before.placed:
            _prove_seed(shell, engine, catalog.manifest(catalog.named(before.placed)), node)
        autolock.lock_again(settings, shell, engine, say=say)
    say(f"quorum back on {name}: swarm {before.cluster_id}, {monotonic() - start:.1f} s")
    return Quorum(before.cluster_id, before.ca_sha256, remade=True)


def _save(settings: Settings, ranked: Sequence[Survivor], say: Say) -> None:
    """Take a safety copy of every survivor, side by side."""

    def one(survivor: Survivor) -> None:
        node = settings.node(survivor.name)
        say(f"taking a safety copy of {survivor.text}")
        with journal.step(settings, Action.SAVE, node.name, say), Shell(node, settings.ssh) as shell:
            backup.take_safety(settings, shell)

    with ThreadPoolExecutor(max_workers=len(ranked)) as pool:
        list(pool.map(one, ranked))


def _unlock(settings: Settings, names: Sequence[str], say: Say) -> None:
    """Unlock managers side by side: none of them is heard before enough of them are there for a leader."""

    def one(name: str) -> None:
        node = settings.node(name)
        with journal.step(settings, Action.UNLOCK, name, say), Shell(node, settings.ssh) as shell:
            autolock.start(settings, node, shell, say=say)

    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        list(pool.map(one, names))


def _prove_seed(shell: Shell, engine: Engine, manifest: Manifest, seed: Node) -> None:
    """Compare with the copy at once: when a restore fails unnoticed, the engine founds an empty swarm and says success."""
    try:
        found = engine.info()["Swarm"]["Cluster"]["ID"]
        compare(manifest.cluster_id, manifest.inventory, found, engine.inventory(), node=seed.name)
    except ProofFailed:
        engine.leave()
        raise
    files.proven(shell, engine)


def _refused(diagnosis: Diagnosis, settings: Settings) -> Refused:
    return Refused(
        f"giving cluster {settings.cluster} a quorum",
        f"{diagnosis.kind}\n{diagnosis.text}",
        remedy=refusal_of(diagnosis, settings).remedy
        if diagnosis.kind in (Kind.FORKED, Kind.FOREIGN)
        else "requorum status; then pulumi preview --config recover=true",
    )
