"""Carries out DEMOTE: a worker that was promoted as a stand-in for a manager gives its vote back."""

from recovery.copies.taking import take_one
from recovery.node.engine import Engine
from recovery.planning.steps import Step
from recovery.steps import votes
from recovery.steps.run import Run


def demote_stand_in(run: Run, step: Step) -> None:
    """Demote the worker, after a copy of the leader, and wait until it is a worker. Raises: Refused, ProofFailed, EngineError.

    The raft log has its address for as long as it votes, and it holds the log itself.
    """
    node, leader = run.settings.node(step.node), run.leader()
    take_one(run.catalog, run.settings, leader.node)
    engine = Engine(run.shell(leader.node))
    entry = engine.member(run.survey.of(step.node).node_id)
    if entry and entry.votes:
        run.say(f"demoting {node.name}, a stand-in for a manager")
        votes.demote(engine, entry, run.shell(node))
