"""Every loss on the fake swarm: recovered and proven, or refused with nothing changed."""

from dataclasses import replace

import pytest

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations.assess import assess
from recovery.steps.remove import remove
from tests.fake.cases import Case, Copies, Theatre, names, quiet, subsets
from tests.replay.recovering import COUNTS, cases, recover, require_recovered


@pytest.mark.parametrize("managers", COUNTS)
def test_every_loss_is_recovered_or_refused(theatre: Theatre, managers: int) -> None:
    for case in cases(managers):
        scene = theatre.stage(case)
        if case.refused:
            with pytest.raises(Refused, match=case.refused):
                recover(scene.settings)
            assert not theatre.wires.effects, f"{case}: refused, and yet something was done"
        else:
            recover(scene.settings)
            require_recovered(theatre, case, scene)


def test_a_manager_that_moved_is_not_taken_out_with_its_old_address(theatre: Theatre) -> None:
    """As when its resources have no alias under the old address: Pulumi deletes them after it made new ones."""
    case = Case(3, frozenset(names(3)), elsewhere=True)
    scene = theatre.stage(case)
    recover(scene.settings)
    for node in scene.settings.managers:
        before = replace(node, address=node.address - 100)
        remove(Cluster(scene.settings), before, scene.identities[node.name], ending=False, say=quiet)
    require_recovered(theatre, case, scene)


RENAMES = {"other names": ("m1", "m2", "m3"), "exchanged names": ("manager-b", "manager-c", "manager-a")}


@pytest.mark.parametrize("given", RENAMES.values(), ids=list(RENAMES))
def test_managers_that_have_other_names_since_come_back_from_their_own_copies(
    theatre: Theatre, given: tuple[str, ...]
) -> None:
    for case in [Case(3, lost, copies) for lost in subsets(3) for copies in (Copies.GOOD, Copies.FIRST_ONLY)]:
        scene = theatre.stage(case)
        managers = (replace(node, name=name) for node, name in zip(scene.settings.managers, given, strict=True))
        recover(scene.settings.model_copy(update={"managers": tuple(managers)}))
        require_recovered(theatre, case, scene)


@pytest.mark.parametrize("managers", COUNTS)
def test_without_the_flag_only_what_a_living_leader_allows_is_done(theatre: Theatre, managers: int) -> None:
    for case in [Case(managers, lost) for lost in subsets(managers)]:
        scene = theatre.stage(case)
        cautious = scene.settings.model_copy(update={"recover": False})
        if case.keeps_quorum:
            recover(cautious)
            require_recovered(theatre, case, scene)
        else:
            with pytest.raises(Refused, match="--config recover="):
                assess(Cluster(cautious)).require_safe(cautious)
            assert not theatre.wires.effects, case
