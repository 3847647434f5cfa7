"""Clocks that are apart. A look tells two moments of a node's clock, between two of ours, so that the difference has bounds."""

from collections.abc import Iterator, Sequence
from statistics import median

from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy, Run, Weight, on_node
from recovery.swarm.evidence import Evidence

LIMIT_SECONDS = 5.0
"""Beyond this, the ages of copies and declarations and the order of logs mislead. S3 refuses what is 15 minutes apart."""
HERE = "this-machine"


def judge(looks: Sequence[Evidence]) -> Iterator[Finding]:
    """A finding for each node whose clock is surely apart from most others, and one if this machine's is."""
    known = {one.node: bounds(one) for one in looks if one.looked}
    if not known:
        return
    usual = median(sum(one) / 2 for one in known.values())
    for seen in looks:
        if seen.looked and (by := _apart(known[seen.node], usual)):
            machine = seen.looked.machine
            unit = machine.clock_unit if machine else ""
            trouble = f"its clock is {by}"
            evidence = (f"the unit that keeps its clock: {unit or 'none'}",)
            yield Finding(seen.node, trouble, (_proposal(seen.node, unit),), Kind.CLOCK_APART, evidence)
    near = sorted(abs(sum(one) / 2) - (one[1] - one[0]) / 2 for one in known.values())
    if len(known) > 1 and near[0] > LIMIT_SECONDS and abs(usual) > LIMIT_SECONDS:
        ahead = "behind" if usual > 0 else "ahead of"
        trouble = f"the clock of the machine where Requorum runs is {abs(usual):.0f} s {ahead} the nodes'"
        proposal = Proposal(Remedy.CLOCK, "set the clock of this machine, for example by chrony", "lets ages be right")
        yield Finding(HERE, trouble, (proposal,), Kind.CLOCK_APART, weight=Weight.SOON)


def bounds(seen: Evidence) -> tuple[float, float]:
    """The least and the most seconds by which a node's clock is ahead of ours."""
    assert seen.looked
    low, high = seen.looked.ended - seen.answered, seen.looked.began - seen.asked
    return (low, high) if low <= high else (high, low)


def _apart(found: tuple[float, float], usual: float) -> str:
    """By how much it is surely apart, in words; empty if it may be right."""
    low, high = found[0] - usual, found[1] - usual
    if low > LIMIT_SECONDS:
        return f"{(low + high) / 2:.0f} s ahead of most others"
    return f"{-(low + high) / 2:.0f} s behind most others" if high < -LIMIT_SECONDS else ""


def _proposal(node: str, unit: str) -> Proposal:
    if unit.startswith("chrony"):
        return on_node(Remedy.CLOCK, "sets the clock at once", Run(node, ("chronyc", "makestep")))
    if unit:
        return on_node(
            Remedy.CLOCK, "sets the clock by its time servers", Run(node, ("systemctl", "restart", "--", unit))
        )
    return Proposal(Remedy.CLOCK, f"on {node}: apt-get install chrony", "keeps the clock right from then on")
