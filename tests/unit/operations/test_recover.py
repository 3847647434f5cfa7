"""What `requorum recover` refuses before it changes anything."""

from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations.assess import Assessment
from recovery.operations.recover import recover_all
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.plan import Plan
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import A, B, C, S, led


@pytest.mark.parametrize(
    ("facts", "command"),
    [
        ({"kind": Kind.ALL_LOST, "copy": "one"}, "pulumi up --config recover=r"),
        ({"kind": Kind.MINORITY_LOST}, "pulumi up,"),
    ],
    ids=["a plan that needs consent", "a plan that needs none"],
)
def test_machines_that_do_not_exist_are_made_by_pulumi_with_consent_to_this_plan_only(
    facts: dict[str, Any], command: str
) -> None:
    """`recover=true` does not consent to a plan with moves, or with a copy that is ahead."""
    survey, plan = make.survey([led(A), led(B), make.gone(C)]), Plan(**facts)
    diagnosis = diagnose(survey, make.CLUSTER, cluster="lab", copies=True)
    with pytest.raises(Refused) as refused:
        recover_all(Cluster(S), Assessment(survey, diagnosis, plan), say=print)
    assert refused.value.code == "no-machine"
    assert refused.value.remedy.startswith(command)
    assert plan.id in refused.value.remedy
    assert "recover=true" not in refused.value.remedy
