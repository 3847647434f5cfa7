"""A name is a label: nodes that are given other names, in any order, get the same plan."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from recovery.copies.copy import Choice
from recovery.planning.changes import find
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import diagnose
from recovery.planning.plan import Source
from recovery.settings import Settings
from recovery.swarm.model import NodeReport
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import S, surveys

NAMES = [node.name for node in S.nodes]
MADE = make.manifest("manager-a")


def planned(of: Settings, reports: list[NodeReport]) -> tuple[object, ...]:
    """The diagnosis, the steps and the other changes, with addresses for names."""
    seen = make.survey(reports)
    address = {node.name: str(node.address) for node in of.nodes}
    owner = next(node.name for node in of.managers if str(node.address) == MADE.address)
    diagnosis = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    source = Source(Choice(make.copy_of(MADE), MADE, owner), cas=seen.cas(make.CLUSTER))
    plan = make_plan(diagnosis, of, source, (), make.NOW)
    changed = find(of, seen, plan, {}).entries
    return (
        plan.kind,
        plan.refusal.code if plan.refusal else "",
        [(step.action, address[step.node]) for step in plan.steps if step.node in address],
        {address[name]: lines for name, lines in changed.items()},
    )


@given(surveys(S), st.permutations([*NAMES, "m1", "m2", "m3"]))
def test_other_names_make_no_other_plan(reports: list[NodeReport], names: list[str]) -> None:
    given_names = dict(zip((node.address for node in S.nodes), names, strict=False))
    renamed = S.model_copy(
        update={
            "managers": tuple(replace(node, name=given_names[node.address]) for node in S.managers),
            "workers": tuple(replace(node, name=given_names[node.address]) for node in S.workers),
        }
    )
    nodes = {node.address: node for node in renamed.nodes}
    told = [replace(report, node=nodes[report.node.address]) for report in reports]
    assert planned(renamed, told) == planned(S, reports)
