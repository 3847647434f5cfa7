"""Brings the Docker engine of every node to the version of the settings, one node after the other.

A node is upgraded in place by the operator's command. Without a command, its machine is replaced: it is fenced, and `pulumi up` makes
it again from the image of the settings. It then rejoins as after a loss.
"""

from collections.abc import Callable

from recovery.cluster import Cluster
from recovery.errors import ProofFailed, SettingError
from recovery.operations import fence, restart
from recovery.operations.rolling import Act
from recovery.operations.walks import BACK_SECONDS, run_on
from recovery.planning.rolling import Walk
from recovery.progress import Say
from recovery.settings import Engine
from recovery.swarm.engine_version import reaches
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Survey

Update = Callable[[], int]
"""Runs `pulumi up` for the cluster; its exit status."""
REPLACED = "replace its machine, with all volumes on it, to upgrade its engine"


def upgrade_walk(cluster: Cluster, batch: int, *, without_quorum: bool) -> Walk:
    """Bring every engine to the version of the settings. Raises: SettingError if the settings name none."""
    engine = _wanted(cluster)
    effect = "upgrade its engine" if engine.command else REPLACED
    name = f"upgrade-{engine.version}"
    return Walk(
        name, "upgrading the engines", effect, "requorum upgrade", batch, without_quorum, version=engine.version
    )


def upgrade(cluster: Cluster, walk: Walk, update: Update, *, heard: Say, say: Say) -> Act:
    """Upgrades a node's engine, and checks the version that the engine then tells. ``heard`` gets what the command prints."""
    engine = _wanted(cluster)

    def take(node: Node, seen: Survey) -> None:
        if engine.command:
            run_on(cluster, node, ["sh", "-c", engine.command], walk, heard, say)
        else:
            _replace(cluster, node, walk, update, say)
        now = restart.await_back(cluster, node, seen, walk.doing, BACK_SECONDS, say=say)
        if not reaches(now.engine, walk.version):
            raise ProofFailed(
                walk.doing,
                f"its engine was {seen.of(node.name).engine or 'unknown'} and is {now.engine}, not {walk.version} or later",
                remedy=f"correct requorum:{'engine.command' if engine.command else 'hosts.image'}, then: {walk.command}",
                node=node.name,
                code="engine-not-upgraded",
            )

    def is_taken(report: NodeReport, _: bool) -> bool:
        return reaches(report.engine, walk.version)

    return Act(take, is_taken, alone=bool(engine.command))


def _wanted(cluster: Cluster) -> Engine:
    """The engine of the settings. Raises: SettingError if they have none."""
    if cluster.settings.engine is None:
        raise SettingError(
            "engine",
            "is not set, so Requorum knows no version to upgrade to",
            remedy="set requorum:engine as docs/upgrade.md shows, then run the same command again",
            code="setting-missing",
        )
    return cluster.settings.engine


def _replace(cluster: Cluster, node: Node, walk: Walk, update: Update, say: Say) -> None:
    """Fence a node, and have `pulumi up` make its machine again. Raises: as `fence.fence`; ProofFailed."""
    with cluster.hold(walk.doing, say=say):
        fence.fence(cluster, node, force=True, say=say)
    say(f"pulumi up makes the machine of {node.name} again")
    if update():
        raise ProofFailed(
            walk.doing,
            "pulumi up failed, and its machine is gone or not back",
            remedy=f"pulumi up. When it has ended well: {walk.command}",
            node=node.name,
            code="node-not-back",
        )
