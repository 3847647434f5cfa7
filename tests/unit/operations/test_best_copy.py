"""Which copy is restored where some managers have no machine, and what is said where none is."""

from pathlib import Path
from typing import Any

import pyrage
import pytest

from recovery.copies.catalog import Catalog
from recovery.operations.assess import _best_copy
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import Diagnosis, diagnose
from recovery.planning.plan import Refusal, Source
from recovery.settings import Settings
from recovery.swarm.model import NodeReport
from tests.unit import factories as make
from tests.unit.copies.test_choice import put
from tests.unit.planning.plans import named

S = make.settings()
A, B, C = S.managers


def found(*reports: NodeReport) -> Diagnosis:
    return diagnose(make.survey(reports), make.CLUSTER, cluster="lab", copies=True)


def refused(of: Settings, diagnosis: Diagnosis) -> Refusal:
    search, elsewhere = _best_copy(of, Catalog(of), diagnosis, make.CLUSTER, frozenset())
    plan = make_plan(diagnosis, of, Source(search.choice, search.rejected, elsewhere=elsewhere), (), make.NOW)
    assert plan.refusal
    return plan.refusal


def test_a_copy_of_a_manager_without_a_machine_is_named_with_the_address_it_belongs_to(
    bucket: Any, tmp_path: Path
) -> None:
    torn, good = put(S, tmp_path, "manager-a", 1), put(S, tmp_path, "manager-b", 2)
    bucket.put_object(Key=torn.key, Body=b"half")
    for reports in ([make.empty(A), named(B), named(C)], [named(A), named(B), named(C)]):
        told = refused(S, found(*reports))
        assert told.code == "no-machine"
        assert good.name in told.why
        assert f"No machine stands at {B.address}" in told.why
        assert told.remedy == f"start a fresh machine for manager-b at {B.address}, then: requorum plan"


def test_a_copy_for_which_a_machine_stands_is_restored_whatever_the_others_have(bucket: Any, tmp_path: Path) -> None:
    put(S, tmp_path, "manager-b", 1)
    here = put(S, tmp_path, "manager-a", 2)
    search, elsewhere = _best_copy(S, Catalog(S), found(make.empty(A), named(B), named(C)), make.CLUSTER, frozenset())
    assert search.choice
    assert (search.choice.copy, elsewhere) == (here, None)


@pytest.mark.parametrize("names", [("manager-a",), ("manager-a", "manager-b")], ids=["one", "two"])
def test_copies_that_no_identity_here_opens_are_counted_and_not_blamed(
    bucket: Any, tmp_path: Path, names: tuple[str, ...]
) -> None:
    for minutes, name in enumerate(names):
        put(S, tmp_path, name, minutes)
    file = tmp_path / "stranger"
    file.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    strange = S.model_copy(update={"backup": S.backup.model_copy(update={"identity_file": file})})
    told = refused(strange, found(*map(make.empty, S.managers)))
    assert told.code == "wrong-identity"
    assert told.why.count("swarm-") == 1, "the newest stands for all"
    assert f"{len(names)} cop" in told.why
    assert all(recipient in told.remedy for recipient in S.backup.recipients)
