"""Carries out FOUND: creates the swarm, or adopts the one that runs."""

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.taking import take_safety
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.planning.steps import Action
from recovery.progress import Say
from recovery.settings import Settings
from recovery.steps import journal, unlock
from recovery.steps.outcome import Quorum
from recovery.steps.readdress import readdress
from recovery.steps.restore import prove_seed
from recovery.survey.nodes import ask
from recovery.swarm.model import NodeReport, Survey


def adopt_swarm(settings: Settings, catalog: Catalog, seen: Survey, leader: NodeReport, say: Say) -> Quorum:
    """Adopt the swarm as it is. If a restore was interrupted before its proof, prove that first."""
    with Shell(leader.node, settings.ssh) as shell:
        engine = Engine(shell)
        if leader.placed:
            say(f"proving the swarm that an interrupted restore made on {leader.node.name}")
            with journal.step(settings, Action.RESTORE, leader.node.name, say):
                take_safety(
                    Cluster(settings).store, settings, shell
                )  # a swarm that differs is left, and it may hold later changes
                prove_seed(shell, engine, catalog.manifest(catalog.named(leader.placed)), leader.node)
        engine.set_options(settings.swarm)
        unlock.lock_again(settings, shell, engine, say=say)
    readdress(settings, seen, say)
    return Quorum(leader.cluster_id, leader.ca_sha256, remade=bool(leader.placed))


def found_swarm(settings: Settings, say: Say) -> Quorum:
    """Create the swarm on the first manager. Raises: EngineError, TransportError."""
    first = settings.managers[0]
    say(f"creating the swarm on {first.name} ({first.address})")
    with journal.step(settings, Action.FOUND, first.name, say), Shell(first, settings.ssh) as shell:
        engine = Engine(shell)
        engine.init(settings.swarm)
        unlock.keep_key(settings, engine)
        made = ask(shell)
        return Quorum(made.cluster_id, made.ca_sha256)
