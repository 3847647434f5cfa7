"""Carries out REPAIR: puts a repaired raft log in the place of a survivor's damaged one.

The engine keeps a damaged log open in no state, so the directories are exchanged while it runs, and it is restarted on the
repaired one. The note that it is in a swarm is left out there. So the engine comes up in no swarm and does not start the log
by itself.
"""

from collections.abc import Callable
from functools import partial

from recovery.copies import snapshot
from recovery.copies.manifest import Verdict
from recovery.copies.snapshot import Staged
from recovery.errors import ProofFailed, Refused
from recovery.node.engine import RESTART
from recovery.node.ssh import Shell
from recovery.onnode import copying
from recovery.planning.steps import Step
from recovery.progress import Say
from recovery.steps import swarm_directory
from recovery.steps.recheck import require_unchanged
from recovery.steps.run import PLAN_AGAIN, Run
from recovery.swarm.key_file import Opening, unlock
from recovery.swarm.model import NodeReport
from recovery.swarm.survivor import Survivor


def repair_log(run: Run, step: Step) -> None:
    """Make the repaired directory anew next to the damaged one, prove it in the sandbox, and exchange the two.

    Safe to run again: a repaired log that is in place is not made again. Raises: Refused if it ends elsewhere than the plan
    says; ProofFailed if no swarm comes up from it; DamagedCopy, NoUnlockKey, CommandFailed, Silent.
    """
    report = run.survey.of(step.node)
    opening = partial(run.cluster.escrow.opening, whose=step.node)

    def unchanged() -> None:
        require_unchanged(run.cluster, run.survey, f"repairing the raft log of {step.node}")

    repair(run.shell(report.node), report, run.consented.cut, opening, say=run.say, check=unchanged)


def repair(
    shell: Shell,
    report: NodeReport,
    planned: str | None,
    opening: Opening,
    *,
    say: Say,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Put a repaired log in place that ends where ``planned`` says, and restart the engine. Raises: as `repair_log`."""
    name = report.node.name
    if not report.mended:
        with snapshot.staged(shell, how=copying.REPAIRED) as copy:
            _require_planned(planned, name, copy)
            opened = unlock(copy.locked_key, opening(copy.locked_key)) if copy.locked_key else b""
            proof = snapshot.tried(shell, copy, opened)
            if proof.verdict is Verdict.FAILED:
                raise ProofFailed(
                    "repairing the raft log",
                    f"no swarm comes up from the repaired log: {proof.detail}. Nothing was changed",
                    remedy="make a plan without this manager's log: requorum plan",
                    node=name,
                    code="repair-failed",
                )
            check()
            say(f"putting the repaired log of {name} in place: {copy.cut or report.damage}")
            swarm_directory.exchange(shell, copy, opened, damage=copy.cut or report.damage)
    say(f"restarting the Docker engine of {name} on the repaired log")
    shell.run(["sh", "-c", RESTART], seconds=swarm_directory.RESTART_SECONDS)


def _require_planned(planned: str | None, name: str, copy: Staged) -> None:
    """Raises: Refused if the repaired log does not end where the plan that was consented to says."""
    ends = Survivor(name, copy.manifest.position, damage="damaged").cut
    if ends != planned:
        raise Refused(
            "repairing the raft log",
            f"the repaired log would be that of {ends}. The plan that Requorum showed is for {planned}",
            remedy=PLAN_AGAIN,
            node=name,
            code="plan-outdated",
        )
