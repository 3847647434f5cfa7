"""Which managers the living nodes know."""

from collections import defaultdict
from collections.abc import Mapping

from recovery.swarm.address import without_port
from recovery.swarm.model import NodeReport, Survey


def known_to(report: NodeReport) -> Mapping[str, str]:
    """The node IDs of the managers that a node knows, by address; empty where it knows only the address.

    A leader that has just lost its quorum still lists the managers that vote.
    """
    listed = {member.raft_address: member.node_id for member in report.members if member.votes}
    told = {without_port(remote): "" for remote in report.remotes}
    return {**told, **listed, **{address: report.peers[address] for address in told if address in report.peers}}


def told_managers(survey: Survey) -> Mapping[str, frozenset[str]]:
    """The node IDs of the managers that living nodes know, by the managers' addresses, if all these nodes are in one swarm.

    An engine keeps the managers that it knew last, also when none of them answers any more.
    """
    told = [report for report in survey.reports if report.in_swarm and report.peers and not report.placed]
    found: defaultdict[str, set[str]] = defaultdict(set)
    for report in told if len({report.cluster_id for report in told}) == 1 else ():
        for address, node_id in report.peers.items():
            found[address].add(node_id)
    return {address: frozenset(ids) for address, ids in found.items()}
