"""Carries out LEAVE: a manager that a forced new cluster left behind, or that cannot use its log, leaves its swarm."""

from recovery.node.engine import Engine
from recovery.planning.steps import Step
from recovery.steps.run import Run


def leave_swarm(run: Run, step: Step) -> None:
    """Have a manager leave that has no vote in the forced new cluster, or whose log is damaged; it has a safety copy.

    An engine that searches for its former leader cannot leave for up to 20 s, and each question about its swarm starts
    the search again. It is therefore not asked before. Raises: EngineError, TransportError.
    """
    damage = run.survey.of(step.node).damage
    why = f"its raft log is damaged ({damage})" if damage else "it is not a member of the forced new cluster"
    run.say(f"{step.node} leaves the old swarm state: {why}")
    Engine(run.shell(run.settings.node(step.node))).leave()
