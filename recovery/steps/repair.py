"""Carries out REPAIR: puts a repaired raft log in the place of a survivor's damaged one.

The engine keeps a damaged log open in no state, so the directories are exchanged while it runs, and it is restarted on the
repaired one. The note that it is in a swarm is left out there. So the engine comes up in no swarm and does not start the log
by itself.
"""

from recovery.copies import snapshot
from recovery.copies.manifest import Verdict
from recovery.copies.snapshot import Staged
from recovery.errors import ProofFailed, Refused
from recovery.node.engine import RESTART
from recovery.onnode import copying
from recovery.planning.steps import Step
from recovery.steps import swarm_directory
from recovery.steps.run import PLAN_AGAIN, Run
from recovery.swarm.key_file import unlock
from recovery.swarm.survivor import Survivor


def repair_log(run: Run, step: Step) -> None:
    """Make the repaired directory anew next to the damaged one, prove it in the sandbox, and exchange the two.

    Safe to run again: a repaired log that is in place is not made again. Raises: Refused if it ends elsewhere than the plan
    says; ProofFailed if no swarm comes up from it; DamagedCopy, NoUnlockKey, CommandFailed, Silent.
    """
    report = run.survey.of(step.node)
    shell = run.shell(report.node)
    if not report.mended:
        with snapshot.staged(shell, how=copying.REPAIRED) as copy:
            _require_planned(run, step, copy)
            key = run.cluster.escrow.opening(copy.locked_key, whose=step.node) if copy.locked_key else None
            opened = unlock(copy.locked_key, key) if copy.locked_key and key else b""
            proof = snapshot.tried(shell, copy, opened)
            if proof.verdict is Verdict.FAILED:
                raise ProofFailed(
                    "repairing the raft log",
                    f"no swarm comes up from the repaired log: {proof.detail}. Nothing was changed",
                    remedy="make a plan without this manager's log: requorum plan",
                    node=step.node,
                    code="repair-failed",
                )
            run.say(f"putting the repaired log of {step.node} in place: {copy.cut or report.damage}")
            swarm_directory.exchange(shell, copy, opened, damage=copy.cut or report.damage)
    run.say(f"restarting the Docker engine of {step.node} on the repaired log")
    shell.run(["sh", "-c", RESTART], seconds=swarm_directory.RESTART_SECONDS)


def _require_planned(run: Run, step: Step, copy: Staged) -> None:
    """Raises: Refused if the repaired log does not end where the plan that was consented to says."""
    ends = Survivor(step.node, copy.manifest.position, damage="damaged").cut
    if ends != run.consented.cut:
        raise Refused(
            "repairing the raft log",
            f"the repaired log would be that of {ends}. The plan that Requorum showed is for {run.consented.cut}",
            remedy=PLAN_AGAIN,
            node=step.node,
            code="plan-outdated",
        )
