"""Carries out LEAVE: a manager that a forced new cluster left behind, or that cannot use its log, leaves its swarm.

So does a worker that the swarm does not list.
"""

from recovery.node.engine import Engine
from recovery.planning.steps import Step
from recovery.steps.run import Run
from recovery.swarm.model import NodeReport


def leave_swarm(run: Run, step: Step) -> None:
    """Let a manager leave that has no vote in the forced new cluster, or whose log is damaged. It has a safety copy.

    Or let a worker leave whose swarm does not list it. It has nothing to save.

    An engine that searches for its former leader cannot leave for up to 20 s. Each question about its swarm starts the
    search again, so Requorum does not ask the engine before.

    Raises: EngineError, TransportError.
    """
    run.say(f"{step.node} leaves the old swarm, because {_why(run.survey.of(step.node))}")
    Engine(run.shell(run.settings.node(step.node))).leave()


def _why(report: NodeReport) -> str:
    if report.node.role == "worker":
        return "the swarm does not list it"
    return f"its raft log is damaged ({report.damage})" if report.damage else "it has no vote in the forced new cluster"
