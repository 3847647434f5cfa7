"""Carries out READDRESS: takes the vote of a manager that the raft log has at a former address."""

from recovery.node.engine import Engine
from recovery.planning.returning import beside
from recovery.planning.steps import Step
from recovery.steps.redirect import detour
from recovery.steps.run import Run
from recovery.steps.votes import demote


def take_vote(run: Run, step: Step) -> None:
    """Make the manager a worker, through another manager that votes. JOIN gives its vote back at its new address.

    It becomes a worker before it is promoted: otherwise its engine would wait about 30 s (swarmkit, node:
    roleChangeTimeout).

    Raises: Refused when the quorum would not survive; ProofFailed; EngineError; TransportError.
    """
    node, through = run.settings.node(step.node), beside(run.diagnose(), run.settings)
    entry = run.survey.misplaced.get(step.node)
    if through is None or entry is None:
        return
    run.say(f"giving {node.name} its vote again, at {node.address}")
    here = run.shell(node)
    # The other manager answers the requests that the node's engine sends to its own old address.
    detour(here, {entry.raft_address: through.address})
    demote(Engine(run.shell(through)), entry, here)
