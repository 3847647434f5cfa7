"""Carries out LEAVE: a manager that a forced new cluster left behind, or that cannot use its log, leaves its swarm."""

from recovery.node.engine import Engine
from recovery.planning.steps import Step
from recovery.steps.run import Run


def leave_swarm(run: Run, step: Step) -> None:
    """Let a manager leave that has no vote in the forced new cluster, or whose log is damaged. It has a safety copy.

    An engine that searches for its former leader cannot leave for up to 20 s. Each question about its swarm starts the
    search again, so Requorum does not ask the engine before.

    Raises: EngineError, TransportError.
    """
    damage = run.survey.of(step.node).damage
    why = f"its raft log is damaged ({damage})" if damage else "it has no vote in the forced new cluster"
    run.say(f"{step.node} leaves the old swarm, because {why}")
    Engine(run.shell(run.settings.node(step.node))).leave()
