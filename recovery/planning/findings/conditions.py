"""What a recovery from here lacks, as findings: old copies, drills that are due, sites, identities, agents."""

import re
from collections.abc import Iterator, Sequence

from recovery.planning.conditions import Condition, State, unmet
from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy, Weight

NO_WORD = re.compile(r"[^a-z0-9.-]+")


def judge(conditions: Sequence[Condition]) -> Iterator[Finding]:
    """A finding for each condition that is not met."""
    for one in unmet(conditions):
        weight = Weight.URGENT if one.grave else Weight.SOON
        unknown = " is not known" if one.state is State.UNKNOWN else ""
        limit = (f"the limit: {one.limit}",) if one.limit else ()
        proposal = Proposal(Remedy.COPY, one.remedy, "lets a recovery from here work, if all managers are lost")
        subject = NO_WORD.sub("-", one.name.lower())
        yield Finding(subject, f"{one.name}{unknown}: {one.found}", (proposal,), Kind.RECOVERY, limit, weight)
