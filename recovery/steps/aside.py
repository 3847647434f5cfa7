"""Carries out ASIDE: moves an old or damaged raft log aside, so that its engine can start and join."""

from recovery.node.engine import Engine
from recovery.planning.steps import Step
from recovery.steps import swarm_directory
from recovery.steps.run import Run


def set_aside(run: Run, step: Step) -> None:
    """Move the log of a node that is in no swarm aside, and keep it on its disk. An engine that is down is started then.

    Raises: TransportError, EngineError.
    """
    report = run.survey.of(step.node)
    shell = run.shell(report.node)
    if report.halted:
        run.say(
            f"the engine of {step.node} does not start on its damaged log. Requorum moves the log aside and keeps it"
        )
        swarm_directory.set_aside_halted(shell)
        return
    run.say(f"{step.node} is in no swarm and has an old log. Requorum moves the log aside and keeps it")
    swarm_directory.set_aside(shell, Engine(shell))
