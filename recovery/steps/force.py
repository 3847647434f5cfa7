"""Carries out FORCE: forces a new cluster from a survivor."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

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
                f"swarm {after['Cluster']['ID']} came up with node {after['NodeID']}, not {before.cluster_id} with "
                f"{before.node_id}; it was left again, and the log is in the safety copy (docs/runbooks/quorum-lost.md)",
                remedy="requorum plan, which goes on without this manager's log",
                node=name,
            )
        engine.inventory()
        if before.placed:
            prove_seed(shell, engine, catalog.manifest(catalog.named(before.placed)), node)
        unlock.lock_again(settings, shell, engine, say=say)
    say(f"quorum back on {name}: swarm {before.cluster_id}, {monotonic() - start:.1f} s")
    return Quorum(before.cluster_id, before.ca_sha256, remade=True)


def _save(settings: Settings, ranked: Sequence[Survivor], say: Say) -> None:
    """Take a safety copy of every survivor, side by side."""

    def one(survivor: Survivor) -> None:
        node = settings.node(survivor.name)
        say(f"taking a safety copy of {survivor.text}")
        with journal.step(settings, Action.SAVE, node.name, say), Shell(node, settings.ssh) as shell:
            take_safety(settings, shell)

    with ThreadPoolExecutor(max_workers=len(ranked)) as pool:
        list(pool.map(one, ranked))
