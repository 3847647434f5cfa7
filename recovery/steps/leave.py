"""Carries out LEAVE: a manager that a forced new cluster left behind leaves its old swarm."""

from recovery.node.engine import Engine
from recovery.planning.steps import Step
from recovery.steps.run import Run


def leave_swarm(run: Run, step: Step) -> None:
    """Have a manager leave that has no vote in the forced new cluster; it has a safety copy. Raises: EngineError, TransportError.

    An engine that searches for its former leader cannot leave for up to 20 s, and each question about its swarm starts
    the search again. It is therefore not asked before.
    """
    run.say(f"{step.node} leaves the old swarm state: it is not a member of the forced new cluster")
    Engine(run.shell(run.settings.node(step.node))).leave()
