"""Managers without a leader: where their logs end, and which log holds most."""

from functools import partial

from recovery.cluster import Cluster
from recovery.copies import snapshot
from recovery.copies.manifest import Verdict
from recovery.errors import DamagedCopy, DamagedKeyFile
from recovery.node.ssh import Shell
from recovery.onnode import copying
from recovery.onnode.archive import UNREADABLE
from recovery.parallel import side_by_side
from recovery.swarm.key_file import Opening, unlock
from recovery.swarm.model import NodeReport, Survey
from recovery.swarm.survivor import Survivor
from recovery.swarm.workload import Inventory


def read_survivors(cluster: Cluster, survey: Survey) -> tuple[Survivor, ...]:
    """Every survivor of a survey. Each log is read on its own node and does not leave it.

    A damaged log is repaired in a copy next to it, which is tried in the sandbox and then removed.
    Raises: TransportError, DamagedCopy, NoUnlockKey, SettingError, StoreError.
    """
    held = [
        report for report in survey.managers if report.raft and (report.in_swarm or report.left_over or report.halted)
    ]

    def read(report: NodeReport) -> Survivor:
        with cluster.shell(report.node) as shell:
            if not report.damage:
                return _sound(shell, report)
            return tried(shell, report, partial(cluster.escrow.opening, whose=report.node.name))

    return side_by_side(read, held)


def _sound(shell: Shell, report: NodeReport) -> Survivor:
    """Where a log ends that its engine can use. Raises: DamagedCopy if it cannot be read."""
    name = report.node.name
    try:
        end, locked = snapshot.look(shell)
    except DamagedCopy as error:
        raise DamagedCopy(
            "reading where its log ends",
            error.why,
            remedy="copy the swarm directory (the folder swarm below the data-root, /var/lib/docker by default) on that node to a safe place. To recover without its log, run on it: "
            "docker swarm leave --force. If it is in no swarm, move that directory away instead",
            node=name,
            code="log-unreadable",
        ) from None
    return Survivor(name, end, locked, damage=report.mended, in_place=bool(report.mended) and report.left_over)


def tried(shell: Shell, report: NodeReport, opening: Opening) -> Survivor:
    """What a log gives back: where it ends, repaired if it is damaged, and what comes up from it in the sandbox.

    Raises: TransportError; as ``opening``.
    """
    name = report.node.name
    harm = report.damage or report.mended
    try:
        with snapshot.staged(shell, how=copying.REPAIRED if report.damage else copying.HOT) as copy:
            locked = copy.locked_key
            opened = unlock(locked, opening(locked)) if locked else b""
            proof = snapshot.tried(shell, copy, opened)
    except (DamagedCopy, DamagedKeyFile) as error:
        return Survivor(name, UNREADABLE, damage=error.why)
    if proof.verdict is Verdict.FAILED:
        log = "the repaired log" if harm else "it"
        return Survivor(name, UNREADABLE, damage=f"no swarm comes up from {log}: {proof.detail}")
    proven = proof.verdict is Verdict.PROVEN
    return Survivor(
        name,
        copy.manifest.position,
        locked is not None,
        damage=copy.cut or harm,
        claimed=copy.claimed,
        in_place=bool(report.mended) and report.left_over,
        trial="" if proven else proof.detail,
        holds=Inventory({kind: frozenset(ids) for kind, ids in proof.beyond.items()}, proof.version_index)
        if proven
        else None,
    )
