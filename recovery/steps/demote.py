"""Carries out DEMOTE: demotes a stand-in to a worker."""

from recovery.copies.taking import take_one
from recovery.node.engine import Engine
from recovery.planning.steps import Step
from recovery.steps import votes
from recovery.steps.run import Run


def demote_stand_in(run: Run, step: Step) -> None:
    """Copy the leader, demote the stand-in, and wait until it is a worker. Raises: Refused, ProofFailed, EngineError.

    As long as the stand-in votes, the raft log has its address, and the stand-in holds the log.
    """
    node, leader = run.settings.node(step.node), run.leader()
    take_one(run.catalog, run.settings, leader.node)
    engine = Engine(run.shell(leader.node))
    entry = engine.member(run.survey.of(step.node).node_id)
    if entry and entry.votes:
        run.say(f"demoting {node.name}, a stand-in for a manager")
        votes.make_room(engine, run.survey, before_taking=entry)
        votes.demote(engine, entry, run.shell(node))
