"""Carries out FORCE: forces a new cluster from a survivor."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.taking import take_safety
from recovery.errors import ProofFailed, Refused
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.planning.steps import Action
from recovery.progress import Say
from recovery.settings import Settings
from recovery.steps import journal, unlock
from recovery.steps.outcome import Quorum
from recovery.steps.recheck import require_unchanged
from recovery.steps.restore import prove_seed
from recovery.swarm.model import NodeReport, Survey, Survivor


def force_new_cluster(
    settings: Settings, catalog: Catalog, seen: Survey, before: NodeReport, ranked: Sequence[Survivor], say: Say
) -> Quorum:
    """Force a new cluster from the chosen survivor; ``before`` is its report. If a restore left it unproven, prove it.

    Its engine is not surveyed again. An engine that has just lost its leader takes up to 20 s to answer, and accepts no
    other request until then.
    """
    name = before.node.name
    if not ranked or ranked[0].name != name:
        best = ranked[0].text if ranked else "nobody"
        raise Refused(
            f"forcing a new cluster from {name}",
            f"the survivor that holds most is now {best}",
            remedy="make a new plan: pulumi preview",
            code="plan-outdated",
        )
    _save(settings, ranked, say)
    node = settings.node(name)
    unlock.open_offline(settings, before, say=say)
    with journal.step(settings, Action.FORCE, name, say), Shell(node, settings.ssh) as shell:
        engine = Engine(shell)
        require_unchanged(settings, seen, f"forcing a new cluster from {name}")
        say(f"forcing a new cluster on {name}")
        start = monotonic()
        engine.force_new_cluster()
        after = engine.info()["Swarm"]
        if (after["NodeID"], after["Cluster"]["ID"]) != (before.node_id, before.cluster_id):
            engine.leave()
            raise ProofFailed(
                "forcing a new cluster",
                f"swarm {after['Cluster']['ID']} with node {after['NodeID']} came up instead of swarm {before.cluster_id} "
                f"with node {before.node_id}. The node has left it. The old log is in the safety copy "
                "(docs/runbooks/quorum-lost.md)",
                remedy="make a plan without this manager's log: requorum plan",
                node=name,
                code="swarm-differs",
            )
        engine.inventory()
        if before.placed:
            prove_seed(shell, engine, catalog.manifest(catalog.named(before.placed)), node)
        unlock.lock_again(settings, shell, engine, say=say)
    say(f"quorum back on {name}: swarm {before.cluster_id}, {monotonic() - start:.1f} s")
    return Quorum(before.cluster_id, before.ca_sha256, remade=True)


def _save(settings: Settings, ranked: Sequence[Survivor], say: Say) -> None:
    """Take a safety copy of every survivor, in parallel."""

    def one(survivor: Survivor) -> None:
        node = settings.node(survivor.name)
        say(f"taking a safety copy of {survivor.text}")
        with journal.step(settings, Action.SAVE, node.name, say), Shell(node, settings.ssh) as shell:
            take_safety(Cluster(settings).store, settings, shell)

    with ThreadPoolExecutor(max_workers=len(ranked)) as pool:
        list(pool.map(one, ranked))
