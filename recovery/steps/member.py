"""One node's membership: takes the plan's steps for the node, then sets its role, availability and labels."""

from recovery.errors import Refused
from recovery.planning.steps import Action, Step
from recovery.steps.join import settle
from recovery.steps.outcome import JoinResult
from recovery.steps.run import Run
from recovery.steps.take import CARRIED_OUT_BY, Phase, carry_out
from recovery.survey import lost
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Reach

AGAIN = "then run the same command again"
CHANGES_IT = frozenset({Action.LEAVE, Action.ASIDE, Action.UNLOCK, Action.REDIRECT})
"""The actions after which Requorum asks the node again. A join waits for its own result."""


def bring_back(run: Run, node: Node, *, dropped_labels: tuple[str, ...] = ()) -> JoinResult:
    """Take the plan's steps for a node, and give it the role, availability and labels of the settings. Safe to run again.

    Raises: Refused if the swarm has no leader, the node belongs to another swarm, a step has no consent, or another
    operator holds the lease; ProofFailed if the node does not become Ready; TransportError, EngineError, StoreError.
    """
    doing = f"joining {node.name}"

    def takes(_: Run, step: Step) -> bool:
        return step.node == node.name and not step.gives_quorum and step.action in CARRIED_OUT_BY

    def looks(run: Run, step: Step) -> None:
        if step.action in CHANGES_IT:
            run.ask(node)

    with run.phase(doing):
        leader = run.require_leader(doing)
        run.known, run.dropped_labels = leader.cluster_id, dropped_labels
        if run.ask(node, brisk=True).reach is not Reach.ANSWERS:
            run.ask(node)
        carry_out(run, Phase(doing, takes, looks, frozenset({Action.DEMOTE})))
        report = run.survey.of(node.name)
        node_id = run.joined.get(node.name) or _member(report, leader).node_id
        if node.name not in run.joined:
            settle(run, node, node_id, leader)
    lost.withdraw(run.cluster, node)
    return JoinResult(node_id, leader.cluster_id)


def _member(report: NodeReport, leader: NodeReport) -> NodeReport:
    """The report of a node that is a member of the leader's swarm. Raises: Refused if the node is not a member."""
    doing, name = f"joining {report.node.name}", report.node.name
    if not report.in_swarm:
        why, remedy = f"{report.reach}: {report.detail}", "check its Docker engine on the node: systemctl status docker"
        raise Refused(doing, why, remedy=remedy, node=name, code="engine-silent")
    if report.node_id not in {member.node_id for member in leader.members}:
        why = "the swarm removed this node, but its engine still counts it as a member"
        remedy = f"run on {name}: docker swarm leave --force; {AGAIN}"
        raise Refused(doing, why, remedy=remedy, node=name, code="foreign-swarm")
    return report
