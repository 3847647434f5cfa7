"""Carries out ASIDE: moves an old raft log aside, so that its engine can join."""

from recovery.node.engine import Engine
from recovery.planning.steps import Step
from recovery.steps import swarm_directory
from recovery.steps.run import Run


def set_aside(run: Run, step: Step) -> None:
    """Move the log of a node that is in no swarm aside, and keep it on its disk. Raises: TransportError, EngineError."""
    run.say(f"{step.node} is in no swarm and has an old log. Requorum moves the log aside and keeps it")
    shell = run.shell(run.settings.node(step.node))
    swarm_directory.set_aside(shell, Engine(shell))
