"""Carries out FOUND: creates the swarm."""

from recovery.node.engine import Engine
from recovery.planning.steps import Step
from recovery.steps.run import Run


def found_swarm(run: Run, step: Step) -> None:
    """Create the swarm on the first manager. Raises: EngineError, TransportError."""
    first = run.settings.node(step.node)
    run.say(f"creating the swarm on {first.name} ({first.address})")
    Engine(run.shell(first)).init(run.settings.swarm)
