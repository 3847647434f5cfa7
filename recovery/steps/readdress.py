"""Carries out READDRESS: takes the vote of a manager whose former address is in the raft log."""

from recovery.node.engine import Engine
from recovery.planning.returning import beside
from recovery.planning.steps import Step
from recovery.steps.redirect import detour
from recovery.steps.run import Run
from recovery.steps.votes import demote


def take_vote(run: Run, step: Step) -> None:
    """Make the manager a worker, through another manager that votes. JOIN gives its vote back at its new address.

    It must be a worker before its promotion. Otherwise its engine would wait about 30 s (swarmkit, node:
    roleChangeTimeout).

    Raises: Refused if the quorum would not survive; ProofFailed; EngineError; TransportError.
    """
    node, second = run.settings.node(step.node), beside(run.diagnose(), run.settings)
    entry = run.survey.misplaced.get(step.node)
    if second is None or entry is None:
        return
    run.say(f"giving {node.name} its vote again, at {node.address}")
    shell = run.shell(node)
    # The other manager answers the requests that the node's engine sends to its own old address.
    detour(shell, {entry.raft_address: second.address})
    demote(Engine(run.shell(second)), entry, shell)
