"""Carries out LEAVE: a manager that a forced new cluster left behind leaves its old swarm."""

from recovery.node.engine import Engine
from recovery.planning.steps import Step
from recovery.steps.run import Run


def leave_swarm(run: Run, step: Step) -> None:
    """Let a manager without a vote in the forced new cluster leave. It has a safety copy. Raises: EngineError, TransportError.

    An engine that searches for its former leader cannot leave for up to 20 s. Each question about its swarm starts the
    search again, so Requorum does not ask the engine before.
    """
    run.say(f"{step.node} leaves the old swarm, because it has no vote in the forced new cluster")
    Engine(run.shell(run.settings.node(step.node))).leave()
